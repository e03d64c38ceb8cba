"""Simulates every policy on every workload, and summarizes the results."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from scaling import clairvoyant, policies
from scaling.assumptions import Platform
from scaling.pool import Result
from scaling.template import QueuePolicy
from scaling.workloads import WORKLOADS, Workload

Policy = Callable[[Workload, QueuePolicy, Platform], Result]

OURS: Final = "`QueueScaling()`"
CPU: Final = "CPU tracking"
FEWEST: Final = "Fewest worker hours"
POLICIES: Final[Mapping[str, Policy]] = {
    OURS: policies.queue_scaling,
    "`QueueScaling(min_count=1)`": lambda workload, policy, platform: policies.queue_scaling(
        workload, replace(policy, least=1), platform
    ),
    CPU: policies.cpu_tracking,
    "CPU tracking, cooldowns of 60 s": lambda workload, policy, platform: policies.cpu_tracking(
        workload, policy, platform, cooldown=60
    ),
    "CPU tracking, tasks that mostly wait": lambda workload, policy, platform: policies.cpu_tracking(
        workload, policy, platform, full=40
    ),
    "Backlog per worker": policies.backlog_per_task,
    "MWAA's rule": policies.mwaa,
    "KEDA's rule": policies.keda,
}


@dataclass(frozen=True, slots=True)
class Summary:
    """The results of one policy on one workload.

    Args:
        killed: killed tasks of all runs together.
        tasks: tasks of all runs together.
        p50: median wait in seconds.
        p95: 95th percentile of the wait in seconds.
        hours: mean worker hours of a run.
        ratio: worker hours divided by the fewest possible ones.
    """

    killed: int
    tasks: int
    p50: float
    p95: float
    hours: float
    ratio: float


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def fewest(workload: Workload, policy: QueuePolicy, platform: Platform) -> float:
    """Return the fewest worker seconds of a workload without waits beyond those that the maximum causes."""
    runs = clairvoyant.schedule(workload, policy.slots * policy.most)
    return clairvoyant.seconds(clairvoyant.workers(runs, policy.slots), platform.start)


def bounds(name: str, policy: QueuePolicy, seeds: int, platform: Platform = Platform()) -> list[Summary]:  # noqa: B008
    """Return the summaries of both clairvoyant schedules: tasks that may move between workers, and tasks that stay."""
    workloads = [WORKLOADS[name](seed) for seed in range(seeds)]
    runs = [clairvoyant.schedule(workload, policy.slots * policy.most) for workload in workloads]
    waits = [start - at for each in runs for at, start, _ in each]
    moving = [fewest(workload, policy, platform) for workload in workloads]
    staying = [clairvoyant.placed_seconds(each, policy.slots, platform.start) for each in runs]
    return [_summary(0, waits, seconds, moving) for seconds in (moving, staying)]


def summarize(
    name: str,
    simulate: Policy,
    policy: QueuePolicy,
    seeds: int,
    platform: Platform = Platform(),  # noqa: B008
) -> Summary:
    """Return the summary of a policy on a workload."""
    workloads = [WORKLOADS[name](seed) for seed in range(seeds)]
    results = [simulate(workload, policy, platform) for workload in workloads]
    return _summary(
        sum(result.killed for result in results),
        [wait for result in results for wait in result.waits],
        [result.seconds for result in results],
        [fewest(workload, policy, platform) for workload in workloads],
    )


def _summary(killed: int, waits: Sequence[float], seconds: Sequence[float], least: Sequence[float]) -> Summary:
    return Summary(
        killed=killed,
        tasks=len(waits),
        p50=percentile(waits, 0.5),
        p95=percentile(waits, 0.95),
        hours=statistics.mean(seconds) / 3600,
        ratio=sum(seconds) / sum(least),
    )
