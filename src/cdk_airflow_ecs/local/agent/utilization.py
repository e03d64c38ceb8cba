"""The metrics CPUUtilization and MemoryUtilization of services, which ECS publishes every minute."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cdk_airflow_ecs.local.agent.task import Task

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MOST: Final = 100.0  # percent: Fargate limits a task to its size


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the start, and bytes in memory that are not shared."""

    cpu: float = 0.0
    memory: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.cpu + other.cpu, self.memory + other.memory)


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    session: int
    usage: Usage


@dataclass(kw_only=True)
class Utilization:
    """Measures the tasks of services."""

    pace: float = 60.0  # seconds
    _last: dict[str, Usage] = field(default_factory=dict)
    _due: float = 0.0
    _measured: float = 0.0

    def follow(self, services: Sequence[tuple[Any, Sequence[Task]]], client: Callable[[str], Any]) -> None:
        """Publish the metrics of services (records and their tasks), if they are due."""
        now = time.monotonic()
        if now < self._due:
            return
        seconds, self._measured, self._due = now - self._measured, now, now + self.pace
        processes = _processes()
        before, self._last = self._last, {}
        for record, tasks in services:
            data = self._data(tasks, processes, before, seconds)
            dimensions = [
                {"Name": "ClusterName", "Value": record.cluster_name},
                {"Name": "ServiceName", "Value": record.name},
            ]
            if data:
                client("cloudwatch").put_metric_data(
                    Namespace="AWS/ECS",
                    MetricData=[
                        {"MetricName": name, "Value": value, "Unit": "Percent", "Dimensions": dimensions}
                        for name, value in data.items()
                    ],
                )

    def _data(
        self, tasks: Iterable[Task], processes: Mapping[int, _Process], before: Mapping[str, Usage], seconds: float
    ) -> dict[str, float]:
        """Return the percentages of the reserved CPU and memory that tasks used since the last measurement."""
        used, reserved = Usage(), Usage()
        for task in tasks:
            usage = sum((_of(container.pid, processes) for container in task.containers if container.pid), Usage())
            self._last[task.record.id] = usage
            if task.record.id in before:
                used += Usage(max(usage.cpu - before[task.record.id].cpu, 0.0), usage.memory)
                cpu, memory = (float(getattr(task.definition, name, None) or 0) for name in ("cpu", "memory"))
                reserved += Usage(cpu / 1024 * seconds, memory * 1024**2)
        if not (reserved.cpu and reserved.memory):
            return {}
        percent = {
            "CPUUtilization": 100 * used.cpu / reserved.cpu,
            "MemoryUtilization": 100 * used.memory / reserved.memory,
        }
        return {name: min(value, _MOST) for name, value in percent.items()}


def _processes() -> dict[int, _Process]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            pages = (folder / "statm").read_text().split()
        except OSError:  # the process has ended
            continue
        # User and system time of the process and of its ended children; resident minus shared pages.
        usage = Usage(sum(map(int, fields[11:15])) / _TICKS, (int(pages[1]) - int(pages[2])) * _PAGE)
        found[int(folder.name)] = _Process(int(fields[1]), int(fields[3]), usage)
    return found


def _of(leader: int, processes: Mapping[int, _Process]) -> Usage:
    """Return the usage of a container: its session and all descendants."""
    members = {pid for pid, process in processes.items() if leader in (pid, process.session)}
    while more := {pid for pid, process in processes.items() if process.parent in members} - members:
        members |= more
    return sum((processes[pid].usage for pid in members), Usage())
