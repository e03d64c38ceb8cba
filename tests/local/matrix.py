"""A report of test results by executor and release, which several processes can write."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from report import report

_NAME = "executors"
_HEAD = (
    "| Executor | Airflow | Up, s | DAG set, s | Task instances | Logs read | Load |",
    "|---|---|---|---|---|---|---|",
)
_ROWS: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class Row:
    """The result of one case: seconds until ready, seconds for the DAG runs, and numbers of task instances and logs."""

    executor: str
    release: str
    up: float
    dags: float
    instances: int
    logs: int

    @property
    def key(self) -> str:
        """Return the row's first two columns, which identify the case."""
        return f"| {self.executor} | {self.release} |"

    def __str__(self) -> str:
        return (
            f"{self.key} {self.up:.0f} | {self.dags:.0f} | {self.instances} | {self.logs} | {os.getloadavg()[1]:.1f} |"
        )


def add_row(row: Row) -> None:
    """Add or replace a row, and write the report."""
    if folder := os.environ.get("E2E_REPORT"):
        _ROWS.update(_read(Path(folder, f"{_NAME}.md")))
    _ROWS[row.key] = str(row)
    report(_NAME, "\n".join([*_HEAD, *_ROWS.values()]))


def _read(file: Path) -> dict[str, str]:
    lines = file.read_text().splitlines()[len(_HEAD) :] if file.exists() else []
    return {"|".join(line.split("|")[:3]) + "|": line for line in lines if line.startswith("|")}
