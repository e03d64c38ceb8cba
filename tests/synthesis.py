"""Synthesizes templates for tests, each configuration once per process."""

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
    """Mark a test as slow, and skip it if *program* of a separate environment is missing."""
    missing = not (REPOSITORY / ".venvs" / environment / "bin" / program).exists()
    return lambda test: pytest.mark.slow(
        pytest.mark.skipif(missing, reason=f"not run: needs .venvs/{environment}; make environments")(test)
    )


@dataclass(frozen=True)
class Assembly:
    """A cloud assembly."""

    folder: Path

    @property
    def artifacts(self) -> dict[str, Any]:
        """Return the manifest's artifacts by id."""
        return json.loads((self.folder / "manifest.json").read_text())["artifacts"]

    @property
    def templates(self) -> dict[str, Template]:
        """Return the templates of all stacks by artifact id, including nested stacks and stages."""
        return {
            file.name.removesuffix(".json").removesuffix(".template").removesuffix(".nested"): json.loads(
                file.read_text()
            )
            for file in sorted(self.folder.rglob("*.template.json"))
        }

    @property
    def acknowledgements(self) -> set[tuple[str, str]]:
        """Return construct path and rule id of each acknowledged cdk-nag finding."""
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
        """Return the validation reports that have findings."""
        return json.loads((self.folder / "validation-report.json").read_text())["pluginReports"]

    @property
    def nag(self) -> dict[str, Any]:
        """Return the validation report of cdk-nag."""
        (report,) = (report for report in self.reports if report["pluginName"] == "AwsSolutions")
        return report


def make_app(*, nag: bool = False, **arguments: Any) -> App:
    """Create an app; with *nag*, its synthesis fails on any cdk-nag finding that is not acknowledged."""
    app = App(**arguments)
    if nag:
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def synthesize(build: Callable[[App], object], **arguments: Any) -> Assembly:
    """Create an app with :func:`make_app`, pass it to *build*, which adds constructs, and synthesize it."""
    app = make_app(**arguments)
    build(app)
    return Assembly(Path(app.synth().directory))


def run_example(name: str, **arguments: Any) -> Assembly:
    """Run an example's unchanged ``app.py`` in an app with the context of its ``cdk.json``."""
    folder = REPOSITORY / "examples" / name
    context = json.loads((folder / "cdk.json").read_text()).get("context", {}) | arguments.pop("context", {})
    return run_app(folder / "app.py", context=context, **arguments)


def run_app(file: Path, **arguments: Any) -> Assembly:
    """Run a file that creates an app, with these arguments of :func:`make_app`."""
    with mock.patch("aws_cdk.App", functools.partial(make_app, **arguments)):
        app = runpy.run_path(str(file))["app"]
    return Assembly(Path(app.synth().directory))


@functools.cache
def cdk_program() -> str:
    """Return the path of the program that `npx aws-cdk@2` runs; cached because npx is slow."""
    words = ["npx", "--yes", "--package", "aws-cdk@2", "--call", "command -v cdk"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


@functools.cache
def example(name: str) -> Assembly:
    """Run an example once, with cdk-nag."""
    return run_example(name, nag=True)


# The keys contain addresses of argument objects; storing the arguments too prevents a reuse of these addresses.
_CACHE: dict[str, tuple[Mapping[str, Any], Template]] = {}


def template_of(**arguments: Any) -> Template:
    """Return the template of a stack with one cluster, synthesized once per set of arguments of :func:`add_cluster`."""
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
    """Return the resources of *types* by logical id."""
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] in types}


def env(region: str = "eu-central-1") -> Environment:
    """Return a CDK environment in *region*, for which CDK invents availability zones."""
    return Environment(account="123456789012", region=region)


def strings(node: Any) -> list[str]:
    """Return every string inside *node*, including keys of mappings."""
    if isinstance(node, Mapping):
        return [text for pair in node.items() for part in pair for text in strings(part)]
    if isinstance(node, list):
        return [text for part in node for text in strings(part)]
    return [node] if isinstance(node, str) else []


def references(node: Any) -> set[str]:
    """Return the logical ids that *node* refers to by Ref, Fn::GetAtt or inside Fn::Sub."""
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
    """Return *node* with *pseudo* parameters and Fn::Join resolved, references as ``<Bucket>`` or ``<Bucket.Arn>``."""
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
