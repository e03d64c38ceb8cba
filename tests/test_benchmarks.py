"""The benchmark compares like with like, and its page says what the last run measured."""

from __future__ import annotations

import re
import runpy
from collections import Counter
from pathlib import Path

from aws_cdk import App, Stack
from aws_cdk.assertions import Template

from synthesis import resources, template_of

REPOSITORY = Path(__file__).parents[1]


def test_by_hand_makes_the_same_resources():
    """What is written by hand has the containers of a cluster without arguments, and as many resources of each type."""
    stack = Stack(App(), "Data")
    runpy.run_path(str(REPOSITORY / "benchmarks" / "by_hand.py"))["build"](stack)
    by_hand, ours = Template.from_stack(stack).to_json(), template_of()

    def types(template):
        return Counter(resource["Type"] for resource in template["Resources"].values())

    assert types(by_hand) == types(ours)
    assert containers(by_hand) == containers(ours)


def containers(template):
    """What each container starts and is asked, and the names of what it gets."""
    return {
        container["Name"]: {key: container.get(key) for key in ("EntryPoint", "Command", "HealthCheck", "Image")}
        | {key: sorted(each["Name"] for each in container.get(key, [])) for key in ("Environment", "Secrets")}
        for definition in resources(template, "AWS::ECS::TaskDefinition").values()
        for container in definition["Properties"]["ContainerDefinitions"]
    }


def test_the_page_keeps_the_promise():
    """The recorded run has the cluster at most a tenth above the same resources by hand, and growing linearly."""
    page = (REPOSITORY / "docs" / "concepts" / "benchmarks.md").read_text().partition("<!-- bench -->")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    costs = {row[0]: row[1:] for row in rows}
    assert float(costs["`AirflowCluster`"][2].split()[0]) <= 1.10
    further = [float(costs[size][2]) for size in ("5", "10", "20")]
    assert max(further) < 1.5 * min(further)
    assert re.search(r"Medians of \d+ interleaved rounds", page)
