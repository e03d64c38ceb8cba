"""The construct paths on escape-hatches.md are those of real clusters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_certificatemanager as acm
from pages import page, table

from cdk_airflow_ecs import CeleryExecutor, CloudWatchLogs, Monitoring, SqsBroker, Web
from synthesis import Assembly, add_cluster, example, synthesize

pytestmark = pytest.mark.xdist_group("examples")

# Together with the clusters in the test below, these examples contain every construct.
EXAMPLES = ("quickstart", "production", "aurora", "celery-sqs", "celery-redis-container", "ecs-operator")
EXAMPLES += ("gpu-pool",)
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/1-2-3"
NAMED = re.compile(
    "^(Components|Pools|Capacity|Tasks|AirflowTasks|Images|Broker/Queues|Monitoring/(?:Components|Pools|Queues))/[^/]+"
)
# Constructs beside a resource that hold its security group rules and key grants.
UNNAMED = ("Peer", "KeyPeer")


def promised() -> set[str]:
    """Return every construct path in the page's table."""
    paths: set[str] = set()
    for places, below, _ in table(page("guides/configure/escape-hatches.md"), "# Use escape hatches")[1:]:
        for place in re.findall("`(.+?)`", places):
            paths |= {f"{place}/{name}" for name in re.findall("`(.+?)`", below)} or {place}
    return paths


def cluster(node: dict[str, Any]) -> dict[str, Any] | None:
    """Return the cluster below a construct of CDK's tree, or None."""
    if node["id"] == "Airflow":
        return node
    return next(filter(None, map(cluster, node.get("children", {}).values())), None)


def own(node: dict[str, Any], above: str = "") -> Iterator[str]:
    """Yield the paths of constructs that this library names, without the constructs inside those of CDK."""
    for name, child in node.get("children", {}).items():
        if child["constructInfo"]["fqn"] == "constructs.Construct":
            yield from own(child, f"{above}{name}/")
        elif name not in UNNAMED:
            yield NAMED.sub(r"\1/<name>", above + name)


def tree(assembly: Assembly) -> set[str]:
    """Return the construct paths of a cluster, with <name> for the digest below Images."""
    found = cluster(json.loads((assembly.folder / "tree.json").read_text())["tree"])
    assert found is not None
    return {"Images/<name>" if path.startswith("Images/") else path for path in own(found)}


def test_the_escape_hatches_page_has_exactly_the_construct_paths_of_clusters():
    """The page has exactly the paths of the clusters."""

    def watched(**arguments: Any) -> Assembly:
        return synthesize(lambda app: add_cluster(Stack(app, "Watched"), monitoring=Monitoring(), **arguments))

    def https(stack: Stack) -> Web:
        return Web(certificate=acm.Certificate.from_certificate_arn(stack, "Certificate", CERTIFICATE))

    sqs = CeleryExecutor(broker=SqsBroker())
    others = [watched(logs=CloudWatchLogs()), watched(executor=lambda _: sqs, web=https)]
    found = [tree(assembly) for assembly in (*map(example, EXAMPLES), *others)]
    assert set().union(*found) == promised()
