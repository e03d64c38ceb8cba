"""Workloads: tasks with the time at which they can run, and their duration. Equal seeds give equal tasks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Task:
    """A task; all times are in seconds.

    Args:
        at: when it can run.
        duration: how long it runs.
        after: the index of the task whose end *at* is counted from; None for the start of the simulation.
    """

    at: float
    duration: float
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Tasks and the simulated time in seconds."""

    about: str
    tasks: tuple[Task, ...]
    end: float

    @property
    def mean(self) -> float:
        """The mean duration of a task in seconds."""
        return sum(task.duration for task in self.tasks) / len(self.tasks)


def steady(seed: int) -> Workload:
    """Return two days with a task every 30 s on average, of five minutes on average."""
    chance = random.Random(f"steady {seed}")
    tasks, at = [], 0.0
    while (at := at + chance.expovariate(1 / 30)) < 2 * DAY:
        tasks.append(Task(at, _lasting(chance, 5 * MINUTE, 0.6)))
    return Workload("A task every 30 s, of 5 min; two days", tuple(tasks), 2 * DAY + 2 * HOUR)


def burst(seed: int) -> Workload:
    """Return three days with 80 chains of five tasks at 01:00, and one task an hour by day."""
    chance = random.Random(f"burst {seed}")
    tasks: list[Task] = []
    for day in range(3):
        for _ in range(80):
            tasks += _chain(chance, day * DAY + HOUR, [10 * MINUTE] * 5, len(tasks))
        tasks += _by_day(chance, day)
    about = "Each night at 01:00 80 chains of five tasks of 10 min, by day a task of 3 min each hour; three days"
    return Workload(about, tuple(tasks), 3 * DAY)


def crowd(seed: int) -> Workload:
    """Return three days with 400 tasks at 01:00, five times as many as the pool can run, and one an hour by day."""
    chance = random.Random(f"crowd {seed}")
    tasks: list[Task] = []
    for day in range(3):
        tasks += [Task(day * DAY + HOUR, _lasting(chance, 10 * MINUTE, 0.4)) for _ in range(400)]
        tasks += _by_day(chance, day)
    about = "Each night at 01:00 400 tasks of 10 min, by day a task of 3 min each hour; three days"
    return Workload(about, tuple(tasks), 3 * DAY)


def long_tail(seed: int) -> Workload:
    """Return two days in which every half hour 20 tasks arrive, of which one in ten takes one to two hours."""
    chance = random.Random(f"long tail {seed}")
    tasks = []
    for half in range(2 * 48):
        for _ in range(20):
            is_long = chance.random() < 0.1
            duration = chance.uniform(1, 2) * HOUR if is_long else _lasting(chance, 3 * MINUTE, 0.5)
            tasks.append(Task(half * 30 * MINUTE + chance.uniform(0, MINUTE), duration))
    about = "Every half hour 20 tasks, of which one in ten takes 1 to 2 h, the others 3 min; two days"
    return Workload(about, tuple(tasks), 2 * DAY + 3 * HOUR)


def idle(seed: int) -> Workload:
    """Return a week with a chain of four tasks each night, and a report of eight tasks on its first morning."""
    chance = random.Random(f"idle {seed}")
    tasks: list[Task] = []
    for day in range(7):
        tasks += _chain(chance, day * DAY + 2 * HOUR, [5 * MINUTE] * 4, len(tasks))
    tasks += [Task(6 * HOUR, _lasting(chance, 10 * MINUTE, 0.3)) for _ in range(8)]
    about = "Each night a chain of four tasks of 5 min, on the first morning 8 tasks of 10 min; a week"
    return Workload(about, tuple(tasks), 7 * DAY)


WORKLOADS: Final[Mapping[str, Callable[[int], Workload]]] = {
    "Steady": steady,
    "Nightly burst": burst,
    "Larger burst": crowd,
    "Long tail": long_tail,
    "Idle week": idle,
}


def _by_day(chance: random.Random, day: int) -> list[Task]:
    hours = [day * DAY + hour * HOUR + chance.uniform(0, HOUR) for hour in range(7, 19)]
    return [Task(at, _lasting(chance, 3 * MINUTE, 0.6)) for at in hours]


def _chain(chance: random.Random, at: float, means: list[float], index: int) -> list[Task]:
    """Return tasks of which each starts a second after the previous one; *index* is that of the first."""
    first_task, *others = (_lasting(chance, mean, 0.4) for mean in means)
    return [Task(at, first_task), *(Task(1, each, after=index + place) for place, each in enumerate(others))]


def _lasting(chance: random.Random, mean: float, spread: float) -> float:
    """Return a duration of at least ten seconds, log-normal with this mean and this standard deviation of its log."""
    return max(10.0, mean * chance.lognormvariate(-spread * spread / 2, spread))


def followers(tasks: tuple[Task, ...]) -> dict[int, list[int]]:
    """Return the indices of the tasks that wait for each task."""
    found: dict[int, list[int]] = {}
    for index, task in enumerate(tasks):
        if task.after is not None:
            found.setdefault(task.after, []).append(index)
    return found


def first(tasks: tuple[Task, ...]) -> Iterator[tuple[float, int]]:
    """Yield time and index of the tasks that wait for no other."""
    for index, task in enumerate(tasks):
        if task.after is None:
            yield task.at, index
