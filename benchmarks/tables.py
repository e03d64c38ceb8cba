"""Helpers for the pages that benchmarks write."""

from __future__ import annotations

import os
from pathlib import Path


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def processor() -> str:
    """Return the number of cores and the model of the processor."""
    model = "processor unknown"
    if (info := Path("/proc/cpuinfo")).exists():
        models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = models[0] if models else model
    return f"{os.cpu_count()} cores ({model})"
