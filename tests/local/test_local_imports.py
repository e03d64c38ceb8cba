"""Imports of the local runner, which needs neither CDK nor the construct library."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import INTERPRETER

SOURCES = Path(__file__).parents[2] / "src"
LOCAL = SOURCES / "cdk_airflow_ecs/local"
# The local runner, programs for containers and Lambda, and the list of extras (airflow_extras.py).
ALLOWED = tuple(f"cdk_airflow_ecs.{name}" for name in ("local", "in_container", "in_lambda", "airflow_extras"))
FILES = sorted(LOCAL.rglob("*.py"))


def imported(file: Path) -> Iterator[str]:
    """Return the modules that a file imports, also in functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = file.relative_to(SOURCES).with_suffix("").parts[: -node.level] if node.level else ()
            module = ".".join([*outer, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(LOCAL)))
def test_the_local_runner_imports_only_allowed_modules(file: Path):
    """The local runner imports only the allowed modules of this library, and not CDK."""
    found = {name for name in imported(file) if name.startswith(("cdk_airflow_ecs", "aws_cdk", "constructs", "jsii"))}
    assert {name for name in found if not any(f"{name}.".startswith(f"{allowed}.") for allowed in ALLOWED)} == set()


@pytest.mark.skipif(not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments")
@pytest.mark.parametrize("module", ["local.up", "local.images.environments", "local.compose.render"])
def test_the_local_runner_does_not_load_cdk(module: str):
    """The local runner does not load jsii, so that it runs without Node.js."""
    code = f"import sys, cdk_airflow_ecs.{module}; sys.exit(bool({{'jsii', 'aws_cdk'}} & {{*sys.modules}}))"
    assert subprocess.run([INTERPRETER, "-c", code], env={"PYTHONPATH": str(SOURCES)}, check=False).returncode == 0


def test_airflow_extras_imports_only_the_standard_library():
    """The local runner imports airflow_extras, which imports only the standard library."""
    assert set(imported(SOURCES / "cdk_airflow_ecs/airflow_extras.py")) == {"__future__.annotations", "typing.Final"}
