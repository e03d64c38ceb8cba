"""The page of the local runner lists every difference from AWS."""

from __future__ import annotations

from cdk_airflow_ecs.local.substitutions import SUBSTITUTIONS
from docs.pages import page, table


def test_the_local_runner_page_lists_every_difference_from_aws():
    """The table equals the output of ``--explain``."""
    rows = table(page("get-started/run-locally.md"), "Each difference has a name")[1:]
    assert rows == [[each.name, each.says, each.here, each.why] for each in SUBSTITUTIONS]
