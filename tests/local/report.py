"""Prints and saves reports of test runs."""

from __future__ import annotations

import os
from pathlib import Path


def report(name: str, text: str) -> None:
    """Print a text, and write it to `<E2E_REPORT>/<name>.md` if E2E_REPORT is set."""
    print(f"\n{text}")
    if folder := os.environ.get("E2E_REPORT"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{name}.md").write_text(f"{text}\n")
