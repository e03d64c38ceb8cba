"""A simulated worker pool: tasks wait, workers start, run tasks and stop as an ECS service does."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from scaling.assumptions import LEAST_BILLED
from scaling.workloads import Workload, first, followers

Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """What happens to running tasks on scale-in; times are in seconds.

    Args:
        is_protected: only workers without tasks are stopped.
        can_be_refused: no more workers can be protected than the desired count, as ECS documents it.
        notice: time from the start of a task to the protection of its worker.
        idle: time from the end of the last task to the end of the protection.
        retry: time until a refused protection is requested again.
        grace: time that a stopped worker has for its tasks, which are killed afterwards.
    """

    is_protected: bool
    grace: float
    can_be_refused: bool = False
    notice: float = 0
    idle: float = 0
    retry: float = 60


@dataclass(eq=False, slots=True)
class Worker:
    """A worker, its tasks, and its history."""

    requested: float
    is_ready: bool = False
    is_stopping: bool = False
    stopped: float | None = None
    is_protected: bool = False
    busy_since: float | None = None
    idle_since: float | None = None
    runs: dict[int, simpy.Process] = field(default_factory=dict)

    @property
    def is_live(self) -> bool:
        """Whether ECS counts it as one of the desired workers."""
        return not self.is_stopping


@dataclass(slots=True)
class Result:
    """The waits, killed attempts and worker seconds of a simulation, and the history: time, workers, waiting tasks."""

    waits: list[float] = field(default_factory=list)
    killed: int = 0
    seconds: float = 0
    history: list[tuple[float, int, int]] = field(default_factory=list)


class Pool:
    """A pool of workers for a workload. A policy reads its counts, and calls :meth:`scale`."""

    def __init__(
        self,
        workload: Workload,
        *,
        slots: int,
        start: float,
        shutdown: Shutdown,
        count: int = 0,
        parallelism: int | None = None,
        stop_delay: float = 0,
    ) -> None:
        self.env = simpy.Environment()
        self.workload, self.slots, self.start, self.shutdown = workload, slots, start, shutdown
        self.parallelism, self.stop_delay = parallelism or 10**9, stop_delay
        self._will_stop = False
        self.desired = 0
        self.result = Result()
        self.workers: list[Worker] = []
        self._waiting: deque[tuple[float, int]] = deque()
        self._followers = followers(workload.tasks)
        self._chance = random.Random(0)
        for at, task in first(workload.tasks):
            self.env.process(self._submit(task, at))
        self.scale(count)

    def run(self) -> Result:
        """Run the simulation to its end, and return its result."""
        self.env.run(until=self.workload.end)
        self.result.waits += [self.env.now - since for since, _ in self._waiting]
        for worker in self.workers:
            self._bill(worker)
        return self.result

    @property
    def running(self) -> int:
        """The number of running tasks."""
        return sum(len(worker.runs) for worker in self.workers)

    @property
    def queued(self) -> int:
        """The number of tasks in Airflow's state "queued", which ``parallelism`` limits."""
        return max(0, min(len(self._waiting), self.parallelism - self.running))

    @property
    def ready(self) -> int:
        """The number of workers that run, including those that finish their tasks."""
        return sum(worker.is_ready for worker in self.workers)

    def scale(self, desired: int) -> None:
        """Set the desired count of the service."""
        self.desired = desired
        self._reconcile()

    def _submit(self, task: int, delay: float) -> Process:
        yield self.env.timeout(delay)
        self._waiting.append((self.env.now, task))
        self._dispatch()

    def _dispatch(self) -> None:
        """Give waiting tasks to random workers with a free slot, because brokers prefer none."""
        free = [each for each in self.workers if each.is_ready and each.is_live and len(each.runs) < self.slots]
        while free and self._waiting and self.running < self.parallelism:
            since, task = self._waiting.popleft()
            worker = self._chance.choice(free)
            self.result.waits.append(self.env.now - since)
            if not worker.runs:
                worker.busy_since, worker.idle_since = self.env.now, None
                if self.shutdown.is_protected and not worker.is_protected:
                    self.env.process(self._protect(worker, self.env.now))
            worker.runs[task] = self.env.process(self._run(worker, task))
            if len(worker.runs) == self.slots:
                free.remove(worker)
        self._note()

    def _run(self, worker: Worker, task: int) -> Process:
        try:
            yield self.env.timeout(self.workload.tasks[task].duration)
        except simpy.Interrupt:
            self.result.killed += 1
            self._waiting.append((self.env.now, task))  # Airflow's retry, without its delay
        else:
            for each in self._followers.get(task, ()):
                self.env.process(self._submit(each, self.workload.tasks[each].at))
        del worker.runs[task]
        if not worker.runs:
            worker.busy_since, worker.idle_since = None, self.env.now
            if worker.is_stopping:
                self._stopped(worker)
            elif self.shutdown.is_protected:
                self.env.process(self._release(worker, self.env.now))
        self._dispatch()

    def _protect(self, worker: Worker, since: float) -> Process:
        """Protect a worker that is busy since a time, as soon as ECS accepts it."""
        if self.shutdown.notice:
            yield self.env.timeout(self.shutdown.notice)
        while worker.busy_since == since and worker.is_live:
            if not self.shutdown.can_be_refused or sum(each.is_protected for each in self.workers) < self.desired:
                worker.is_protected = True
                return
            yield self.env.timeout(self.shutdown.retry)

    def _release(self, worker: Worker, since: float) -> Process:
        """End the protection of a worker that is idle since a time."""
        yield self.env.timeout(self.shutdown.idle)
        if worker.idle_since == since:
            worker.is_protected = False
            self._reconcile()

    def _reconcile(self) -> None:
        """Start missing workers, and stop superfluous ones after a while."""
        live = [worker for worker in self.workers if worker.is_live]
        for _ in range(self.desired - len(live)):
            worker = Worker(self.env.now)
            self.workers.append(worker)
            self.env.process(self._start(worker))
        if not self.stop_delay:
            self._stop_superfluous()
        elif len(live) > self.desired and not self._will_stop:
            self._will_stop = True
            self.env.process(self._stop_later())
        self._note()

    def _stop_later(self) -> Process:
        yield self.env.timeout(self.stop_delay)
        self._will_stop = False
        self._stop_superfluous()
        self._note()

    def _stop_superfluous(self) -> None:
        """Stop random unprotected workers, because ECS does not know which are busy."""
        live = [worker for worker in self.workers if worker.is_live]
        free = [worker for worker in live if not worker.is_protected]
        for worker in self._chance.sample(free, max(0, min(len(live) - self.desired, len(free)))):
            self._stop(worker)

    def _start(self, worker: Worker) -> Process:
        yield self.env.timeout(self.start)
        if worker.is_live:
            worker.is_ready = True
            self._dispatch()

    def _stop(self, worker: Worker) -> None:
        worker.is_stopping = True
        if worker.runs:
            self.env.process(self._kill(worker))
        else:
            self._stopped(worker)

    def _kill(self, worker: Worker) -> Process:
        yield self.env.timeout(self.shutdown.grace)
        for run in list(worker.runs.values()):
            run.interrupt()

    def _stopped(self, worker: Worker) -> None:
        worker.stopped = self.env.now
        self.workers.remove(worker)
        self._bill(worker)
        self._note()

    def _bill(self, worker: Worker) -> None:
        end = self.env.now if worker.stopped is None else worker.stopped
        self.result.seconds += max(end - worker.requested, LEAST_BILLED)

    def _note(self) -> None:
        self.result.history.append((self.env.now, len(self.workers), len(self._waiting)))
