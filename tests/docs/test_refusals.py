"""What the documentation says is refused."""

from __future__ import annotations

import pytest

import cdk_airflow_ecs
from cdk_airflow_ecs.testing import plan_of
from docs.pages import page, table

ROWS = [row[0].strip("`") for row in table(page("how-to/executors.md"), "## What does not go together")[1:]]


@pytest.mark.parametrize("arguments", ROWS)
def test_what_the_page_says_is_refused(arguments):
    """Each row is refused in words, and its arguments are ones that there are."""
    names = {name: getattr(cdk_airflow_ecs, name) for name in cdk_airflow_ecs.__all__}
    with pytest.raises(ValueError, match=r"\w+ .{20}"):
        eval(f"plan_of({arguments})", {**names, "plan_of": plan_of})


def test_the_page_has_rows():
    """The table was found."""
    assert len(ROWS) > 10
