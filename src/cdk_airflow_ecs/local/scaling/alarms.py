"""CloudWatch alarms: state from the values of recent periods."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cdk_airflow_ecs.local.scaling.queries import Query, Samples, Window, answer

OK: Final = "OK"
ALARM: Final = "ALARM"
INSUFFICIENT_DATA: Final = "INSUFFICIENT_DATA"
# An alarm retrieves more periods than it evaluates, because some may be missing. AWS documents 5 for 3.
_MORE_PERIODS: Final = 2
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A metric alarm.

    Args:
        queries: the one that is returned has the value.
        periods: evaluated periods (N).
        to_alarm: breaching periods that raise the alarm (M).
        missing: "missing", "ignore", "breaching" or "notBreaching".
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
        """Seconds of one period."""
        return max((query.period for query in self.queries if query.metric), default=60)

    @property
    def pace(self) -> int:
        """Seconds between two evaluations: a minute, or 10 seconds at high resolution."""
        return 60 if self.period >= 60 else 10

    def values(self, samples: Samples, now: float) -> list[float | None]:
        """Return the values of the evaluation range, the oldest first; the newest period is complete."""
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
    """The result: new state, and the real values that were evaluated, the oldest first."""

    state: str
    values: tuple[float, ...]


def evaluate(alarm: Alarm, values: Sequence[float | None], state: str) -> Evaluation:
    """Return the next state of an alarm in *state*; *values* has the evaluation range, the oldest first.

    Real values replace missing ones as far as the range contains them; only the rest is filled as *missing* says
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
    """Return whether the oldest breach is old enough for an alarm, and no evaluated value contradicts it."""
    if not all(map(alarm.breaches, real)):
        return False
    recent = values[-alarm.periods :]
    ages = [len(recent) - place for place, value in enumerate(recent) if value is not None]
    return bool(ages) and ages[0] >= alarm.to_alarm
