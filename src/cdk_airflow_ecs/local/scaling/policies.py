"""Scaling policies: computes the desired count that a policy sets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_AGGREGATIONS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "Average": lambda values: sum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Desired and running tasks of an ECS service, and the limits of its scalable target."""

    desired: int
    running: int
    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """A change of the desired count by a policy; its cooldown ends at *until*, in seconds since 1970."""

    until: float
    before: int
    after: int

    @property
    def is_out(self) -> bool:
        """Whether the activity increased the desired count."""
        return self.after > self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of a policy: an adjustment between two bounds relative to the alarm's threshold; None is unbounded."""

    adjustment: int
    lower: float | None = None
    upper: float | None = None

    def contains(self, breach: float) -> bool:
        """Return whether *breach* (value minus threshold) is within; the bound near the threshold is inclusive."""
        lower = -math.inf if self.lower is None else self.lower
        upper = math.inf if self.upper is None else self.upper
        return lower <= breach < upper if breach >= 0 else lower < breach <= upper


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPolicy:
    """A step scaling policy.

    Args:
        adjustment_type: "ChangeInCapacity", "PercentChangeInCapacity" or "ExactCapacity".
        cooldown: seconds in which scale-in waits after a change.
        aggregation: "Average", "Minimum" or "Maximum" of the values that the alarm evaluated.
        magnitude: minimum number of tasks that "PercentChangeInCapacity" adds or removes.

    Examples:
        >>> policy = StepPolicy(adjustment_type="ChangeInCapacity", steps=(Step(adjustment=2, lower=0),))
        >>> policy.wanted(breach=1.0, base=3)
        5
    """

    adjustment_type: str
    steps: tuple[Step, ...]
    cooldown: float = 300  # the API's default
    aggregation: str = "Average"
    magnitude: int = 0

    def aggregate(self, values: Sequence[float]) -> float:
        """Return the aggregated value, which is compared with the steps."""
        return float(_AGGREGATIONS[self.aggregation](values))

    def wanted(self, *, breach: float, base: int) -> int | None:
        """Return the number of tasks for a breach (value minus threshold); None if no step contains it."""
        step = next((step for step in self.steps if step.contains(breach)), None)
        if step is None:
            return None
        if self.adjustment_type == "ExactCapacity":
            return step.adjustment
        if self.adjustment_type == "ChangeInCapacity":
            return base + step.adjustment
        return base + _rounded(base * step.adjustment / 100, self.magnitude)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTrackingPolicy:
    """A target tracking policy, which two alarms call; cooldowns are in seconds."""

    target: float
    out_cooldown: float = 300  # the API's default for ECS
    in_cooldown: float = 300
    scales_in: bool = True

    def wanted(self, *, value: float, base: int) -> int:
        """Return the number of tasks that brings the metric to the target."""
        return math.ceil(base * value / self.target)


def _rounded(change: float, magnitude: int) -> int:
    """Round a change towards zero, to at least one and *magnitude* tasks."""
    if change == 0:
        return 0
    size = max(math.floor(abs(change)), 1, magnitude)
    return size if change > 0 else -size


def _limited(wanted: int, capacity: Capacity) -> int | None:
    """Return *wanted* within the limits; None if they allow no change in its direction."""
    limited = min(max(wanted, capacity.least), capacity.most)
    if wanted > capacity.desired:
        return limited if limited > capacity.desired else None
    return limited if limited < capacity.desired else None


def by_steps(policy: StepPolicy, capacity: Capacity, *, breach: float, last: Activity | None, now: float) -> int | None:
    """Return the next desired count of a service; None means no change.

    *last* is the target's last activity. During its cooldown, tasks that it added count as added by this policy, and
    scale-in is blocked (docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html).
    Relative adjustments start from the running tasks, as ECS documents.
    """
    cooling = last if last and now < last.until else None
    base = cooling.before if cooling and cooling.is_out else capacity.running
    wanted = policy.wanted(breach=breach, base=base)
    if wanted is None:
        return None
    if policy.adjustment_type != "ExactCapacity":  # a policy that adds tasks never removes any
        wanted = max(wanted, capacity.desired) if wanted >= base else min(wanted, capacity.desired)
    if wanted < capacity.desired and cooling:
        return None
    return _limited(wanted, capacity)


def by_target(
    policy: TargetTrackingPolicy, capacity: Capacity, *, value: float, last: Activity | None, now: float
) -> int | None:
    """Return the next desired count of a service; None means no change."""
    cooling = last if last and now < last.until else None
    base = cooling.before if cooling and cooling.is_out else capacity.running
    wanted = policy.wanted(value=value, base=base)
    if value > policy.target:
        wanted = max(wanted, capacity.desired)
    elif cooling or not policy.scales_in or wanted >= capacity.desired:
        return None
    return _limited(wanted, capacity)


def within(capacity: Capacity) -> int | None:
    """Return the desired count that new limits require; None if the present count is within the limits."""
    limited = min(max(capacity.desired, capacity.least), capacity.most)
    return None if limited == capacity.desired else limited
