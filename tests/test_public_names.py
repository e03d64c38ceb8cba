"""The public names: what ``__all__`` says is what can be imported, and each says what it is."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import types

import pytest

import cdk_airflow_ecs


def test_all_is_what_can_be_imported():
    """Every name that the package shows is in ``__all__``, in order and once, and nothing else is."""
    shown = {
        name
        for name in dir(cdk_airflow_ecs)
        if not name.startswith("_") and not isinstance(getattr(cdk_airflow_ecs, name), types.ModuleType)
    } - {"annotations", "TYPE_CHECKING", "Any", "import_module"}
    assert cdk_airflow_ecs.__all__ == sorted(shown) == sorted(cdk_airflow_ecs._MODULES)


def test_type_checkers_see_the_same_names():
    """What is imported for type checkers is what is imported at the first use, from the same module."""
    package = ast.parse(inspect.getsource(cdk_airflow_ecs))
    found = {
        name.name: (node.module or "").removeprefix("cdk_airflow_ecs.")
        for guarded in package.body
        if isinstance(guarded, ast.If)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert found == cdk_airflow_ecs._MODULES


def test_a_name_that_does_not_exist_is_told():
    """A misspelt name ends as it does with any module."""
    with pytest.raises(ImportError, match="cannot import name 'AirflowClusters'"):
        from cdk_airflow_ecs import AirflowClusters  # noqa: F401


def test_the_package_alone_starts_no_node():
    """Who runs `airflow-ecs` waits for no CDK."""
    code = "import sys, cdk_airflow_ecs; sys.exit('aws_cdk' in sys.modules or 'jsii' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", cdk_airflow_ecs.__all__)
def test_a_public_name_is_documented(name):
    """A public class says what it is, and so does each public method and property of its own."""
    public = getattr(cdk_airflow_ecs, name)
    assert inspect.isclass(public)
    members = {
        f"{name}.{member}": value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        for member, value in vars(public).items()
        if not member.startswith("_")
        and (isinstance(value, property | classmethod | staticmethod) or inspect.isfunction(value))
    }
    for place, documented in {name: public, **members}.items():
        assert (inspect.getdoc(documented) or "").strip(), place
        assert not inspect.getdoc(documented).startswith(f"{name}("), f"{place}: dataclasses write this themselves"


@pytest.mark.parametrize("name", cdk_airflow_ecs.__all__)
def test_every_argument_is_documented(name):
    """Each argument of a public class stands in the Args of its docstring, and no other does."""
    public = getattr(cdk_airflow_ecs, name)
    parameters = [p for p in inspect.signature(public.__init__).parameters if p not in ("self", "args", "kwargs")]
    lines = inspect.getdoc(public).splitlines()
    documented = []
    if "Args:" in lines:
        for line in lines[lines.index("Args:") + 1 :]:
            if line and not line.startswith(" "):
                break
            if line.startswith("    ") and not line.startswith("     "):
                documented.append(line.split(":")[0].strip())
    assert documented == parameters
