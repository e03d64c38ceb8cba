"""One table over the executors and releases that ran, also where each ran in a process of its own."""

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
    """What one case showed.

    Args:
        executor: a name of app.py.
        release: the Airflow release.
        up: seconds until all components were ready.
        dags: seconds from the first trigger to the end of the last run.
        instances: how many task instances ended as they should.
        logs: how many logs were read.
    """

    executor: str
    release: str
    up: float
    dags: float
    instances: int
    logs: int

    @property
    def key(self) -> str:
        """By which an older row of the same case is found."""
        return f"| {self.executor} | {self.release} |"

    def __str__(self) -> str:
        return (
            f"{self.key} {self.up:.0f} | {self.dags:.0f} | {self.instances} | {self.logs} | {os.getloadavg()[1]:.1f} |"
        )


def tell(row: Row) -> None:
    """Add a row, and report the table."""
    if folder := os.environ.get("E2E_REPORT"):
        _ROWS.update(_read(Path(folder, f"{_NAME}.md")))
    _ROWS[row.key] = str(row)
    report(_NAME, "\n".join([*_HEAD, *_ROWS.values()]))


def _read(file: Path) -> dict[str, str]:
    lines = file.read_text().splitlines()[len(_HEAD) :] if file.exists() else []
    return {"|".join(line.split("|")[:3]) + "|": line for line in lines if line.startswith("|")}
