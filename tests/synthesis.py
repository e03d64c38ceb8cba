"""Templates for tests: each configuration is synthesized once per process and handed out as plain dictionaries."""

from __future__ import annotations

import functools
import json
import runpy
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from aws_cdk import App, Environment, Stack, Validations
from cdk_nag import AwsSolutionsChecks

from cdk_airflow_ecs import AirflowCluster, AirflowVersion

REPOSITORY = Path(__file__).parents[1]
EXAMPLES = sorted(file.parent.name for file in (REPOSITORY / "examples").glob("*/app.py"))

Template = dict[str, Any]


def tool(environment: str, program: str) -> Any:
    """Mark a slow test that runs *program* of an environment of its own; without that it is named as not run."""
    missing = not (REPOSITORY / ".venvs" / environment / "bin" / program).exists()
    return lambda test: pytest.mark.slow(
        pytest.mark.skipif(missing, reason=f"not run: needs .venvs/{environment}; make environments")(test)
    )


@dataclass(frozen=True)
class Assembly:
    """What an app wrote."""

    folder: Path

    @property
    def artifacts(self) -> dict[str, Any]:
        """The manifest's artifacts by id."""
        return json.loads((self.folder / "manifest.json").read_text())["artifacts"]

    @property
    def templates(self) -> dict[str, Template]:
        """Each stack's template by the stack's artifact id, nested ones and stages included."""
        return {
            file.name.removesuffix(".json").removesuffix(".template").removesuffix(".nested"): json.loads(
                file.read_text()
            )
            for file in sorted(self.folder.rglob("*.template.json"))
        }

    @property
    def acknowledgements(self) -> set[tuple[str, str]]:
        """Construct path and id of every finding of cdk-nag that somebody acknowledged."""
        return {
            (path.removeprefix("/"), rule)
            for file in self.folder.rglob("*.metadata.json")
            for path, entries in json.loads(file.read_text()).items()
            for entry in entries
            if entry["type"] == "aws:cdk:acknowledged-rules"
            for rule in entry["data"]
            if rule.startswith("AwsSolutions::")
        }

    @property
    def reports(self) -> list[dict[str, Any]]:
        """What each validator said that had anything to say."""
        return json.loads((self.folder / "validation-report.json").read_text())["pluginReports"]

    @property
    def nag(self) -> dict[str, Any]:
        """What cdk-nag said, if it watched."""
        (report,) = (report for report in self.reports if report["pluginName"] == "AwsSolutions")
        return report


def make_app(*, nag: bool = False, **arguments: Any) -> App:
    """Make an app; with *nag*, one whose synthesis fails on any finding that nobody acknowledged."""
    app = App(**arguments)
    if nag:
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def synthesize(build: Callable[[App], object], **arguments: Any) -> Assembly:
    """Let *build* fill an app, and synthesize it. The arguments are those of :func:`make_app`."""
    app = make_app(**arguments)
    build(app)
    return Assembly(Path(app.synth().directory))


def run_example(name: str, **arguments: Any) -> Assembly:
    """Run an example's ``app.py`` as it stands, in an app with the context of its ``cdk.json``."""
    folder = REPOSITORY / "examples" / name
    context = json.loads((folder / "cdk.json").read_text()).get("context", {}) | arguments.pop("context", {})
    return run_app(folder / "app.py", context=context, **arguments)


def run_app(file: Path, **arguments: Any) -> Assembly:
    """Run a file that makes an app, which then gets these arguments of :func:`make_app`."""
    with mock.patch("aws_cdk.App", functools.partial(make_app, **arguments)):
        app = runpy.run_path(str(file))["app"]
    return Assembly(Path(app.synth().directory))


@functools.cache
def cdk_program() -> str:
    """What `npx aws-cdk@2` runs, found once: npx looks for it each time, and that takes as long as a small command."""
    words = ["npx", "--yes", "--package", "aws-cdk@2", "--call", "command -v cdk"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


@functools.cache
def example(name: str) -> Assembly:
    """Run an example, with cdk-nag watching, once."""
    return run_example(name, nag=True)


# The arguments stay beside the template, so that no other object gets the address that stands in their text.
_CACHE: dict[str, tuple[Mapping[str, Any], Template]] = {}


def template_of(**arguments: Any) -> Template:
    """Synthesize a cluster in a stack of its own, once per set of arguments.

    Args:
        arguments: those of ``AirflowCluster``; a function instead of a value is called with the stack.
    """
    key = repr(sorted(arguments.items()))
    if key not in _CACHE:
        app = App()
        add_cluster(Stack(app, "Data"), **arguments)
        _CACHE[key] = arguments, Assembly(Path(app.synth().directory)).templates["Data"]
    return _CACHE[key][1]


def add_cluster(stack: Stack, construct_id: str = "Airflow", **arguments: Any) -> AirflowCluster:
    """Add a cluster of Airflow 3.3 to *stack*; a function instead of a value is called with the stack."""
    values = {name: value(stack) if callable(value) else value for name, value in arguments.items()}
    return AirflowCluster(stack, construct_id, **{"version": AirflowVersion.V3_3, **values})


def resources(template: Template, *types: str) -> dict[str, dict[str, Any]]:
    """The resources of *types* by logical id."""
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] in types}


def env(region: str = "eu-central-1") -> Environment:
    """An account in *region*; CDK then invents its availability zones."""
    return Environment(account="123456789012", region=region)


def strings(node: Any) -> list[str]:
    """Every text inside *node*, keys of mappings included."""
    if isinstance(node, Mapping):
        return [text for pair in node.items() for part in pair for text in strings(part)]
    if isinstance(node, list):
        return [text for part in node for text in strings(part)]
    return [node] if isinstance(node, str) else []


def references(node: Any) -> set[str]:
    """The logical ids that *node* refers to: by Ref, Fn::GetAtt, or inside Fn::Sub."""
    found: set[str] = set()
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "Ref":
                found.add(value)
            elif key == "Fn::GetAtt":
                found.add(value[0] if isinstance(value, list) else value.partition(".")[0])
            else:
                found |= references(value)
    elif isinstance(node, list):
        for part in node:
            found |= references(part)
    return found


def flat(node: Any, pseudo: Mapping[str, str] | None = None) -> Any:
    """Write *node* with references as text: ``<Bucket>``, ``<Bucket.Arn>``, and joined parts as one.

    Args:
        node: part of a template.
        pseudo: values of pseudo parameters, such as ``{"AWS::Region": "eu-central-1"}``.
    """
    if isinstance(node, list):
        return [flat(part, pseudo) for part in node]
    if not isinstance(node, Mapping):
        return node
    if node.keys() == {"Ref"}:
        return (pseudo or {}).get(node["Ref"], f"<{node['Ref']}>")
    if node.keys() == {"Fn::GetAtt"}:
        return f"<{'.'.join(node['Fn::GetAtt'])}>"
    if node.keys() == {"Fn::Join"}:
        separator, parts = flat(node["Fn::Join"], pseudo)
        return separator.join(map(str, parts))
    return {key: flat(value, pseudo) for key, value in node.items()}
