"""The fewest worker hours without any wait, for a scheduler that knows all tasks in advance."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from itertools import groupby, pairwise

from scaling.workloads import Workload, first, followers

Run = tuple[float, float, float]
"""Times of a task: when it can run, its start, its end."""


def schedule(workload: Workload, slots: int) -> list[Run]:
    """Return the runs of all tasks, if each starts as soon as one of *slots* slots is free."""
    ready = list(first(workload.tasks))
    heapq.heapify(ready)
    after, free, found = followers(workload.tasks), [0.0] * slots, []
    while ready:
        at, index = heapq.heappop(ready)
        start = max(at, heapq.heappop(free))
        end = start + workload.tasks[index].duration
        heapq.heappush(free, end)
        found.append((at, start, end))
        for each in after.get(index, ()):
            heapq.heappush(ready, (end + workload.tasks[each].at, each))
    return found


def workers(runs: Sequence[Run], slots: int) -> list[tuple[float, int]]:
    """Return the number of workers from each time on, if tasks always fill them completely."""
    changes = sorted([(start, 1) for _, start, _ in runs] + [(end, -1) for *_, end in runs])
    found, running = [], 0
    for at, group in groupby(changes, key=lambda change: change[0]):
        running += sum(change for _, change in group)
        found.append((at, math.ceil(running / slots)))
    return found


def seconds(levels: Sequence[tuple[float, int]], start: float) -> float:
    """Return the worker seconds of a number of workers over time.

    Each worker starts *start* seconds before its first task. An idle worker continues if that is cheaper than another
    start. Workers that leave last arrive first, which is optimal because all are equal.
    """
    total = 0.0
    for level in range(1, max(number for _, number in levels) + 1):
        busy = [(at, until) for (at, number), (until, _) in pairwise(levels) if number >= level]
        last = None
        for at, until in busy:
            total += until - at + (start if last is None else min(start, at - last))
            last = until
    return total


def placed_seconds(runs: Sequence[Run], slots: int, start: float) -> float:
    """Return the worker seconds of a good placement of the runs, for tasks that stay on their worker.

    A task goes to the worker that it keeps busy for the least additional time; a worker stops when it has no task.
    The optimum is between this and :func:`seconds`.
    """
    total, live = 0.0, []
    for _, begin, end in sorted(runs, key=lambda run: run[1]):
        kept = []
        for ends in live:
            if max(ends) + start > begin:
                kept.append(ends)
            else:
                total += max(ends)
        live = kept
        free = [ends for ends in live if sum(each > begin for each in ends) < slots]
        if free:
            best = min(free, key=lambda ends: (max(0, end - max(ends)), max(ends)))
            best[:] = [each for each in best if each > begin] + [end]
        else:
            live.append([end])
            total += start - begin
    return total + sum(max(ends) for ends in live)
