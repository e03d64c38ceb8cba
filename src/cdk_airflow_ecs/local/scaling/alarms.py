"""CloudWatch alarms: computes an alarm's state from the values of recent periods."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cdk_airflow_ecs.local.scaling.queries import Query, Samples, Window, answer

OK: Final = "OK"
ALARM: Final = "ALARM"
INSUFFICIENT_DATA: Final = "INSUFFICIENT_DATA"
# Additional periods that an alarm retrieves, because values may be missing. AWS documents 5 for 3 evaluated ones.
_MORE_PERIODS: Final = 2
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A CloudWatch metric alarm.

    Args:
        queries: metrics and expressions; the query with *is_returned* has the alarm's value.
        periods: number of evaluated periods (N in "M of N").
        to_alarm: number of breaching periods that raise the alarm (M).
        missing: how missing data counts: "missing", "ignore", "breaching" or "notBreaching".
    """

    name: str
    queries: tuple[Query, ...]
    comparison: str
    threshold: float
    periods: int
    to_alarm: int
    missing: str = "missing"

    @property
    def period(self) -> int:
        """Length of a period in seconds."""
        return max((query.period for query in self.queries if query.metric), default=60)

    @property
    def pace(self) -> int:
        """Seconds between two evaluations: a minute, or 10 seconds at high resolution."""
        return 60 if self.period >= 60 else 10

    def values(self, samples: Samples, now: float) -> list[float | None]:
        """Return the values of the evaluated complete periods, the oldest first; None for a missing value."""
        end = int(now // self.pace * self.pace)
        window = Window(start=end - (self.periods + _MORE_PERIODS) * self.period, end=end)
        (found,) = answer(self.queries, samples, window).values()
        return [found.get(at) for at in window.slots(self.period)]

    def breaches(self, value: float) -> bool:
        """Return whether a value breaches the threshold; raises a ValueError for anomaly detection."""
        if self.comparison not in _COMPARISONS:
            raise ValueError(f"the comparison {self.comparison} is not supported; use {', '.join(_COMPARISONS)}")
        return _COMPARISONS[self.comparison](value, self.threshold)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation's result: the alarm's new state, and the values that were not missing, the oldest first."""

    state: str
    values: tuple[float, ...]


def evaluate(alarm: Alarm, values: Sequence[float | None], state: str) -> Evaluation:
    """Return the next state of an alarm that is in *state*; *values* are from :meth:`Alarm.values`.

    Older values of the range replace missing ones; what is still missing counts as `Alarm.missing` defines
    (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html).
    """
    real = tuple(value for value in values if value is not None)[-alarm.periods :]
    filled = alarm.periods - len(real)
    breaching = [value for value in real if alarm.breaches(value)]
    if len(breaching) + (filled if alarm.missing == "breaching" else 0) >= alarm.to_alarm:
        return Evaluation(ALARM, real)
    if alarm.missing == "notBreaching" or not (filled or _is_premature(alarm, values, real)):
        return Evaluation(OK, real)
    premature = _is_premature(alarm, values, real)
    if alarm.missing == "ignore" and (premature or not real):
        return Evaluation(state, real)
    if premature:
        return Evaluation(ALARM, real)
    return Evaluation(OK if real or alarm.missing == "breaching" else INSUFFICIENT_DATA, real)


def _is_premature(alarm: Alarm, values: Sequence[float | None], real: Sequence[float]) -> bool:
    """Return whether all values breach, and the oldest is at least M periods old."""
    if not all(map(alarm.breaches, real)):
        return False
    recent = values[-alarm.periods :]
    ages = [len(recent) - place for place, value in enumerate(recent) if value is not None]
    return bool(ages) and ages[0] >= alarm.to_alarm
