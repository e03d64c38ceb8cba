"""Tools for fault tests: a DAG whose tasks record their begin and end, its evaluation, and ways to stop processes."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TASKS: Final = 200
# Each execution of a task appends a line (a mark) at begin and end: task, try, "begins" or "ends", time.
DAG: Final = """
import os, time
from datetime import datetime, timedelta
try:
    from airflow.sdk import DAG, task, get_current_context
except ImportError:
    from airflow.decorators import task
    from airflow.operators.python import get_current_context
    from airflow import DAG

def mark(number, what):
    context = get_current_context()
    name = context["run_id"].replace(":", "").replace("+", "")
    line = f"{number} {context['ti'].try_number} {what} {time.time():.3f}\\n"
    descriptor = os.open(f"MARKS/{name}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)

with DAG("many", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, is_paused_upon_creation=False):

    @task(retries=2, retry_delay=timedelta(seconds=1))
    def work(number):
        mark(number, "begins")
        time.sleep(1)
        mark(number, "ends")

    work.expand(number=list(range(TASKS)))
"""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a task, with try number, and begin and end in seconds since 1970."""

    task: int
    attempt: int
    began: float
    ended: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The executions of a DAG run by their begin, and the times of a fault (*struck*) and recovery (*healed*)."""

    executions: tuple[Execution, ...]
    struck: float
    healed: float

    @property
    def flows_after(self) -> float:
        """Return the seconds from the fault to the end of the first task that began after it."""
        return min(e.ended for e in self.executions if e.began > self.struck and e.ended) - self.struck

    @property
    def longest_pause(self) -> float:
        """Return the longest time in seconds after the fault in which no task ended."""
        ends = sorted(e.ended for e in self.executions if e.ended and e.ended > self.struck)
        return max(later - earlier for earlier, later in zip([self.struck, *ends], ends, strict=False))

    @property
    def repeated(self) -> list[int]:
        """Return the tasks that were executed more than once."""
        return sorted(task for task, count in Counter(e.task for e in self.executions).items() if count > 1)

    def wrong(self) -> list[str]:
        """Return errors: tasks that never ended, tries that ran twice, and tasks repeated without a fault."""
        found = [f"task {task} never ended" for task in range(TASKS) if task not in {e.task for e in self._ended()}]
        tries = Counter((e.task, e.attempt) for e in self.executions)
        found += [f"try {attempt} of task {task} ran {n} times" for (task, attempt), n in tries.items() if n > 1]
        for task in self.repeated:
            *earlier, _ = [e for e in self.executions if e.task == task]
            found += [f"task {task} was repeated though {e} was not struck" for e in earlier if not self._is_struck(e)]
        return found

    def _ended(self) -> list[Execution]:
        return [e for e in self.executions if e.ended]

    def _is_struck(self, execution: Execution) -> bool:
        """Return whether, during the fault, the execution ran or Airflow had not yet recorded its end."""
        record = 5.0  # seconds until a busy machine has recorded the end of an execution
        return execution.began < self.healed and (execution.ended is None or execution.ended + record > self.struck)


COLUMNS: Final = (
    "Fault",
    "Broker",
    "Healthy again after s",
    "A new task ended after s",
    "Longest pause s",
    "Run took s",
    "Tasks tried again",
    "of these, already started",
    "Slots lost",
    "Load",
)


def table(*cells: object) -> str:
    """Return a Markdown table with one row, in whole seconds."""
    texts = [f"{cell:.0f}" if isinstance(cell, float) else str(cell) for cell in cells]
    return "\n".join(f"| {' | '.join(row)} |" for row in (COLUMNS, ["---"] * len(COLUMNS), texts))


def executions(text: str) -> tuple[Execution, ...]:
    r"""Return the executions of a DAG run from its marks (lines).

    Examples:
        >>> executions("3 1 begins 10.0\n4 1 begins 11.0\n3 1 ends 12.0\n")[0].ended
        12.0
    """
    begun: list[Execution] = []
    for line in text.splitlines():
        task, attempt, what, when = line.split()
        if what == "begins":
            begun.append(Execution(int(task), int(attempt), float(when), None))
            continue
        place = next(i for i, e in enumerate(begun) if (e.task, e.attempt, e.ended) == (int(task), int(attempt), None))
        begun[place] = Execution(int(task), int(attempt), begun[place].began, float(when))
    return tuple(begun)


def used_slots(log: str) -> int | None:
    r"""Return the number of used executor slots that the scheduler logged at the last SIGUSR2, or None.

    Examples:
        >>> used_slots("executor.running (2)\n\texecutor.running (0)\n\t")
        0
    """
    found = re.findall(r"executor\.running \((\d+)\)", log)
    return int(found[-1]) if found else None


def processes(state: Path, label: str) -> list[int]:
    """Return the pids of a component's main processes, or of those of a store whose logical id contains *label*."""
    found = []
    for file in sorted((state / "processes").glob("*.json")):
        try:
            record = json.loads(file.read_text())
        except (OSError, ValueError):  # another process is writing or has removed the file
            continue
        name, slash, _ = record["name"].partition("/")
        is_store = not slash and not name.endswith("(TLS)")
        if name == label or (is_store and label in name):
            found.append(int(record["pid"]))
    return found


def session(leader: int) -> list[int]:
    """Return the pids of a container, whose processes share a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[3] == str(leader) and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def kill(leader: int) -> None:
    """Kill all processes of a container, as if its host failed."""
    for pid in session(leader):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def freeze(pid: int, seconds: float) -> None:
    """Suspend a process for some seconds."""
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
