"""The synthesis benchmark compares equal templates, and the measurements on its page are within limits."""

from __future__ import annotations

import re
import runpy
from collections import Counter
from pathlib import Path

from aws_cdk import App, Stack
from aws_cdk.assertions import Template

from synthesis import resources, template_of

REPOSITORY = Path(__file__).parents[1]


def test_the_handwritten_template_has_the_same_resource_types():
    """The template written by hand has the containers and resource types of a default cluster."""
    stack = Stack(App(), "Data")
    runpy.run_path(str(REPOSITORY / "benchmarks" / "by_hand.py"))["build"](stack)
    by_hand, cluster = Template.from_stack(stack).to_json(), template_of()

    def types(template):
        return Counter(resource["Type"] for resource in template["Resources"].values())

    assert types(by_hand) == types(cluster)
    assert containers(by_hand) == containers(cluster)


def containers(template):
    """Return the command, variable names and secret names of each container."""
    return {
        container["Name"]: {key: container.get(key) for key in ("EntryPoint", "Command", "HealthCheck", "Image")}
        | {key: sorted(each["Name"] for each in container.get(key, [])) for key in ("Environment", "Secrets")}
        for definition in resources(template, "AWS::ECS::TaskDefinition").values()
        for container in definition["Properties"]["ContainerDefinitions"]
    }


def test_the_recorded_synthesis_times_are_within_the_limits():
    """Synthesis of AirflowCluster takes at most a tenth longer than of a handwritten template, and grows linearly."""
    page = (REPOSITORY / "docs" / "concepts" / "benchmarks.md").read_text().partition("<!-- bench -->")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    costs = {row[0]: row[1:] for row in rows}
    assert float(costs["`AirflowCluster`"][2].split()[0]) <= 1.10
    further = [float(costs[size][2]) for size in ("5", "10", "20")]
    assert max(further) < 1.5 * min(further)
    assert re.search(r"Medians of \d+ interleaved rounds", page)
