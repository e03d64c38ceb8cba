"""Alarms and metrics as data. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cdk_airflow_ecs.binding import MetricSource

Comparison: TypeAlias = Literal[">=", "<"]
Missing: TypeAlias = Literal["breaching", "notBreaching", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric with its statistic.

    Args:
        namespace: CloudWatch namespace.
        name: name of the metric; may be a token.
        dimensions: dimensions; values may be tokens.
        statistic: "Average", "Sum", "Minimum", "Maximum" or a percentile.
        period_seconds: period of a data point.
    """

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str = "Average"
    period_seconds: int = 60

    @classmethod
    def of(cls, source: MetricSource, name: str, statistic: str = "Average", period_seconds: int = 60) -> Metric:
        """Return the metric *name* of *source*."""
        return cls(
            namespace=source.namespace,
            name=name,
            dimensions=source.dimensions,
            statistic=statistic,
            period_seconds=period_seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A CloudWatch alarm.

    Args:
        kind: its row in the runbook, docs/guides/operate/alarms.md.
        path: its path below the construct "Monitoring".
        meaning: what is wrong, in one sentence.
        metrics: one metric; several with *expression*, which refers to them as m1, m2 and so on.
        expression: metric math.
        threshold: the threshold; may be a token.
        comparison: how the metric compares to the threshold in an alarm.
        periods: number of consecutive periods.
        missing: how to treat missing data.
        after: the component whose service must exist first; "" if *metrics* refer to it.
    """

    kind: str
    path: str
    meaning: str
    metrics: tuple[Metric, ...]
    expression: str = ""
    threshold: float
    comparison: Comparison = ">="
    periods: int
    missing: Missing = "notBreaching"
    after: str = ""

    @property
    def minutes(self) -> int:
        """The time after which the alarm starts."""
        return self.periods * self.metrics[0].period_seconds // 60
