"""escape-hatches.md: the construct tree that the page promises is the one that there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aws_cdk import Stack
from pages import page, table

from cdk_airflow_ecs import CloudWatchLogs
from synthesis import Assembly, add_cluster, example, synthesize

pytestmark = pytest.mark.xdist_group("examples")

# Together they have everything that a cluster may have, but for what the last adds.
EXAMPLES = ("quickstart", "production", "aurora", "celery-sqs", "celery-redis-container", "ecs-operator")
NAMED = re.compile("^(Components|Pools|Tasks|Images|Broker/Queues)/[^/]+")
# Stand-ins for what they stand beside, so that rules and grants reach it.
UNNAMED = ("Peer", "KeyPeer")


def promised() -> set[str]:
    """Every path of the page's table."""
    paths: set[str] = set()
    for places, below, _ in table(page("guides/configure/escape-hatches.md"), "# Use escape hatches")[1:]:
        for place in re.findall("`(.+?)`", places):
            paths |= {f"{place}/{name}" for name in re.findall("`(.+?)`", below)} or {place}
    return paths


def cluster(node: dict[str, Any]) -> dict[str, Any] | None:
    """The cluster somewhere below a construct of the tree that CDK writes."""
    if node["id"] == "Airflow":
        return node
    return next(filter(None, map(cluster, node.get("children", {}).values())), None)


def own(node: dict[str, Any], above: str = "") -> Iterator[str]:
    """The paths that this library names: CDK's constructs are the leaves. A construct without anything is none."""
    for name, child in node.get("children", {}).items():
        if child["constructInfo"]["fqn"] == "constructs.Construct":
            yield from own(child, f"{above}{name}/")
        elif name not in UNNAMED:
            yield NAMED.sub(r"\1/<name>", above + name)


def tree(assembly: Assembly) -> set[str]:
    """The paths of a cluster; what is below an image is a digest."""
    found = cluster(json.loads((assembly.folder / "tree.json").read_text())["tree"])
    assert found is not None
    return {"Images/<name>" if path.startswith("Images/") else path for path in own(found)}


def test_tree():
    """Each path of the clusters is on the page, and each of the page's in some cluster."""
    watched = synthesize(lambda app: add_cluster(Stack(app, "Watched"), logs=CloudWatchLogs()))
    found = [tree(assembly) for assembly in (*map(example, EXAMPLES), watched)]
    assert set().union(*found) == promised()
