"""The pages of the documentation, and their tables."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
    + list((ROOT / "docs").rglob("*.md"))
    + list((ROOT / "examples").glob("*/README.md"))
)


def page(name: str) -> str:
    """Return the text of a page below docs/."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def table(text: str, start: str) -> list[list[str]]:
    """Return the rows of the first table after *start*, including its header."""
    lines = text[text.index(start) + len(start) :].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return [rows[0], *rows[2:]]


def name_of(path: Path) -> str:
    """Return a page's name for test ids."""
    return path.relative_to(ROOT).as_posix()
