"""The public names: what ``__all__`` says is what can be imported, and each says what it is."""

from __future__ import annotations

import inspect
import types

import pytest

import cdk_airflow_ecs


def test_all_is_what_can_be_imported():
    """Every name that the package shows is in ``__all__``, in order and once, and nothing else is."""
    shown = {
        name
        for name, value in vars(cdk_airflow_ecs).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert cdk_airflow_ecs.__all__ == sorted(shown)


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
