"""What a run has shown, for people: printed, and kept where E2E_REPORT names a folder."""

from __future__ import annotations

import os
from pathlib import Path


def report(name: str, text: str) -> None:
    """Print a table or a text; write it to `<E2E_REPORT>/<name>.md`, too, if that is set."""
    print(f"\n{text}")
    if folder := os.environ.get("E2E_REPORT"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{name}.md").write_text(f"{text}\n")
