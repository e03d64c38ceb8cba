"""Memory of each ECS task of a local cluster, beside the memory in its template."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

MIB = 1024


def proportional(rollup: str) -> float:
    """Return the PSS in MiB of a smaps_rollup: pages shared by n processes count as 1/n."""
    return next((int(line.split()[1]) / MIB for line in rollup.splitlines() if line.startswith("Pss:")), 0.0)


def sizes(template: Mapping) -> dict[str, int]:
    """Return the memory in MiB of the task of each container."""
    found = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::ECS::TaskDefinition":
            properties = resource["Properties"]
            found |= {each["Name"]: int(properties["Memory"]) for each in properties["ContainerDefinitions"]}
    return found


def owners(parents: Mapping[int, int], leaders: Iterable[int]) -> dict[int, int]:
    """Return, for each process below one of *leaders*, that leader."""
    tops, found = set(leaders), {}
    for pid in parents:
        at = pid
        while at and at not in tops:
            at = parents.get(at, 0)
        if at:
            found[pid] = at
    return found


class Sampler(AbstractContextManager):
    """Samples the memory in a thread, and keeps the peak of each task.

    Args:
        processes: folder with the first process of each container.
        peaks: the highest values by task, which are updated.
        pace: seconds between samples, each of which costs 0.1 CPU s.
    """

    def __init__(self, processes: Path, peaks: dict[str, float], pace: float = 1) -> None:
        self._processes = processes
        self._pace = pace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._peaks = peaks

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._pace):
            for task, size in self.look().items():
                self._peaks[task] = max(size, self._peaks.get(task, 0))

    def look(self) -> dict[str, float]:
        """Return the PSS in MiB of each task: of all processes below its containers, or in its network."""
        leaders = {}
        for file in self._processes.glob("*.json"):
            try:
                known = json.loads(file.read_text())
            except (OSError, ValueError):  # the process has just ended
                continue
            leaders[known["pid"]] = known["name"].partition("/")[0]
        above = owners(parents(), leaders)
        networks = {_network(pid): name for pid, name in leaders.items()}
        networks.pop(_network(os.getpid()), None)
        found: dict[str, float] = {}
        for pid in parents():
            # A health check is a child of the agent's process, but runs in the task's network.
            task = leaders.get(above.get(pid, 0)) or networks.get(_network(pid))
            if task:
                found[task] = found.get(task, 0) + proportional(_read(pid, "smaps_rollup"))
        return found


def parents() -> dict[int, int]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if text := _read(int(folder.name), "stat"):
            found[int(folder.name)] = int(text.rpartition(")")[2].split()[1])
    return found


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def _network(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""
