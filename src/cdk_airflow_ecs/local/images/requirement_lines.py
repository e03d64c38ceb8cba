"""The requirements that an image's Dockerfile installs, as lines of one file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cdk_airflow_ecs.local.images.image import AirflowImageParts
from cdk_airflow_ecs.local.refusal import Refusal

_NESTED: Final = re.compile(r"(-r|--requirement|-c|--constraint)(?:\s+|=|(?<=-[rc]))(?P<name>\S+)")
_LOCAL: Final = re.compile(r"(-e|--editable)\b|\.{0,2}/|\.(\[|$)|file:")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def requirement_lines(parts: AirflowImageParts) -> list[str]:
    """Return all requirement lines, including those of nested requirements files.

    Raises:
        Refusal: if a nested file is missing, or a line refers to a local package.
    """
    lines: list[str] = []
    for each in parts.requirements:
        lines += _lines(each, ()) if isinstance(each, Path) else [each]
    return list(dict.fromkeys([*lines, *(f"-c {file}" for file in parts.constraints)]))


def _lines(file: Path, outer: tuple[Path, ...]) -> Iterator[str]:
    if file in outer:
        raise Refusal(f"{file} includes itself")
    text = re.sub(r"\\\n", " ", file.read_text(encoding="utf-8"))
    for number, line in enumerate(text.splitlines(), start=1):
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if not bare:
            continue
        nested = _NESTED.fullmatch(bare)
        if nested is None:
            if _LOCAL.match(bare):
                raise Refusal(
                    f"{file}, line {number}: {bare!r} is a file or folder of the image; only packages from an index or"
                    " URL are supported"
                )
            yield bare
            continue
        name = nested["name"]
        own = file.parent / name
        if "://" in name:
            yield bare
        elif not own.is_file():
            raise Refusal(f"{file}, line {number}: file {name} not found in {file.parent}")
        elif bare.startswith(("-c", "--c")):
            yield f"-c {own}"
        else:
            yield from _lines(own, (*outer, file))


def package_of(line: str) -> str:
    """Return the normalized package name of a requirement line; empty for options and URLs.

    Examples:
        >>> package_of("Flask_Login[x]>=0.6 ; python_version > '3.8'"), package_of("--pre")
        ('flask-login', '')
    """
    text = re.sub(r"\s+--hash.*", "", line)
    try:
        return canonicalize_name(Requirement(text).name)
    except InvalidRequirement:
        match = _NAME.match(text)
        return canonicalize_name(match[0]) if match and "://" not in text else ""


def packages_of(lines: Iterable[str]) -> set[str]:
    """Return the package names in *lines* and in the constraints files that they name."""
    found = set[str]()
    for line in lines:
        if line.startswith("-c ") and "://" not in line:
            found |= packages_of(_lines(Path(line[3:]), ()))
        else:
            found.add(package_of(line))
    return found - {""}
