"""The package has no import cycles, even with imports for type checkers and in functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src"
# Known import cycles, which are still to be removed; each set may only become smaller.
KNOWN: list[frozenset[str]] = []


def modules(root: Path) -> dict[str, ast.Module]:
    """Return the syntax tree of each module below *root* by dotted name; a package's name ends with ``.__init__``."""
    return {
        ".".join(file.relative_to(root).with_suffix("").parts): ast.parse(file.read_text(encoding="utf-8"), str(file))
        for file in sorted(root.rglob("*.py"))
    }


def imports(name: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each module that the module *name* (with syntax tree *tree*) imports, with the imported name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: -node.level] if node.level else []
            home = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((home, alias.name) for alias in node.names)


def graph(root: Path) -> dict[str, set[str]]:
    """Return the modules below *root* that each module imports."""
    trees = modules(root)

    def found(home: str, name: str) -> str:
        places = (f"{home}.{name}", f"{home}.{name}.__init__", home, f"{home}.__init__")
        return next((place for place in places if place in trees), "")

    return {name: {found(*item) for item in imports(name, tree)} - {name, ""} for name, tree in trees.items()}


def circles(edges: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Return the strongly connected components of more than one node."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for target in edges[waiting.pop()] - seen:
                seen.add(target)
                waiting.append(target)
        return seen

    closure = {name: reached(name) for name in edges}
    groups = {
        frozenset({name, *(other for other in closure[name] if name in closure[other])})
        for name in edges
        if name in closure[name]
    }
    return {group for group in groups if len(group) > 1}


def short(group: frozenset[str]) -> frozenset[str]:
    """Remove the package's name from a module name."""
    return frozenset(name.removeprefix("cdk_airflow_ecs.") for name in group)


def test_there_are_no_unknown_import_cycles():
    """Each import cycle is part of a known one, and each known cycle still exists."""
    found = [short(group) for group in circles(graph(SOURCES))]
    new = [sorted(group) for group in found if not any(group <= known for known in KNOWN)]
    assert not new, f"modules import each other in a circle: {new}"
    broken = [sorted(known) for known in KNOWN if not any(group <= known for group in found)]
    assert not broken, f"remove from KNOWN, since nothing of it is left: {broken}"


@pytest.mark.parametrize(
    "statement",
    [
        "from package import b",
        "from . import b",
        "from .b import B",
        "import package.b",
        "from package.b import B",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package.b import B",
        "def f():\n    from package.b import B\n    return B",
    ],
)
def test_every_kind_of_import_counts(tmp_path: Path, statement: str):
    """An import cycle is found for every kind of import statement."""
    package = tmp_path / "package"
    package.mkdir()
    for name, text in {"__init__": "", "a": statement, "b": "from package.c import C", "c": "import package.a"}.items():
        (package / f"{name}.py").write_text(text)
    assert circles(graph(tmp_path)) == {frozenset({"package.a", "package.b", "package.c"})}
    (package / "c.py").write_text("")
    assert not circles(graph(tmp_path))
