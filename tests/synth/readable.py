"""A compact, lossless text form of a template for review.

The text is JSON, but references and joins are one string with ``${Id}`` and ``${Id.Attribute}`` (literal dollar signs
are doubled), lists of names and values are mappings, and each part that fits is one line, as are policy statements and
security group rules of any length.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

WIDTH = 160
PAIRS = ({"Name", "Value"}, {"Key", "Value"}, {"Name", "ValueFrom"})


class ReadableExtension(SingleFileSnapshotExtension):
    """A snapshot extension with one text file per test, which contains every stack of the assembly."""

    _write_mode = WriteMode.TEXT
    file_extension = "json"

    def serialize(self, data: Any, **_: Any) -> str:
        """Write the templates of an assembly, by stack."""
        return write(data) + "\n"


def write(node: Any, indent: int = 0, used: int = 0) -> str:
    """Write a template or a part of it; *used* columns of the first line are already taken."""
    return _layout(_simplify(node), indent, used)


def _simplify(node: Any) -> Any:
    if isinstance(node, str):
        return node.replace("$", "$$")
    if isinstance(node, list):
        return _mapping(node) or [_simplify(part) for part in node]
    if not isinstance(node, Mapping):
        return node
    text = _text(node)
    if text is not None:
        return text
    keys = sorted(node, key=lambda key: (key != "Type", key))
    return {key: _simplify(node[key]) for key in keys}


def _text(node: Mapping[str, Any]) -> str | None:
    """Return a reference or a join as one text, or None for any other mapping."""
    match node:
        case {"Ref": str(name), **others} if not others:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [str(name), str(attribute)], **others} if not others:
            return f"${{{name}.{attribute}}}"
        case {"Fn::Join": ["", list(parts)], **others} if not others:
            simple = [_simplify(part) for part in parts]
            if all(isinstance(part, str) for part in simple):
                return "".join(simple)
    return None


def _mapping(node: list[Any]) -> dict[str, Any] | None:
    """Return a list of names and values as a mapping, or None if a name is repeated."""
    for pair in PAIRS:
        if all(isinstance(part, Mapping) and part.keys() == pair for part in node):
            name, value = sorted(pair)
            names = [part[name] for part in node]
            if all(isinstance(text, str) for text in names) and len(set(names)) == len(names):
                return {part[name]: _simplify(part[value]) for part in node}
    return None


def _layout(node: Any, indent: int, used: int) -> str:
    line = json.dumps(node, ensure_ascii=False)
    is_rule = isinstance(node, dict) and not {"Effect", "IpProtocol"}.isdisjoint(node)
    if not isinstance(node, dict | list) or is_rule or indent + used + len(line) < WIDTH:
        return line
    deeper = indent + 1
    if isinstance(node, list):
        opening, closing, parts = "[", "]", [("", part) for part in node]
    else:
        opening, closing, parts = "{", "}", [(json.dumps(key) + ": ", part) for key, part in node.items()]
    inside = ",\n".join(" " * deeper + key + _layout(part, deeper, len(key)) for key, part in parts)
    return f"{opening}\n{inside}\n{' ' * indent}{closing}"
