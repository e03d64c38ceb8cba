"""What the tests of the documentation read: pages, and the tables in them."""

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
    """The text of one page below docs/."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def table(text: str, start: str) -> list[list[str]]:
    """The rows, head first, of the first table after *start*."""
    lines = text[text.index(start) + len(start) :].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return [rows[0], *rows[2:]]


def name_of(path: Path) -> str:
    """A page's name in test ids."""
    return path.relative_to(ROOT).as_posix()
