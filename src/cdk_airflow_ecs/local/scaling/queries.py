"""Queries of metrics and expressions, as in alarms and in `GetMetricData`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cdk_airflow_ecs.local.scaling.expressions import Expression
from cdk_airflow_ecs.local.scaling.metrics import Metric, Sample, Series, series

Samples = Callable[[Metric, str], Iterable[Sample]]
"""Returns the samples of a metric with a unit; an empty unit means any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query: a statistic of a metric, or an expression; *period* is in seconds."""

    id: str
    metric: Metric | None = None
    statistic: str = "Average"
    period: int = 60
    unit: str = ""
    expression: str = ""
    is_returned: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time between *start* and *end*, in seconds since 1970."""

    start: int
    end: int

    def slots(self, period: int) -> Sequence[int]:
        """Return the start times of the periods within the window."""
        return range(self.start, self.end, period)


@dataclass
class _Answer:
    queries: Mapping[str, Query]
    samples: Samples
    window: Window
    found: dict[str, Series] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)

    def get(self, name: str) -> Series:
        if name not in self.queries:
            raise ValueError(f"the query {name} does not exist; queries: {', '.join(self.queries)}")
        if name in self.pending:
            raise ValueError(f"the expression of {name} refers to itself")
        if name not in self.found:
            self.pending.add(name)
            self.found[name] = self._value(self.queries[name])
            self.pending.discard(name)
        return self.found[name]

    def _value(self, query: Query) -> Series:
        if query.metric is not None:
            samples = self.samples(query.metric, query.unit)
            return series(samples, query.statistic, query.period, self.window.start, self.window.end)
        expression = Expression.parse(query.expression)
        names = expression.names
        if expression.needs_all:
            names = names | {each.id for each in self.queries.values() if each.metric}
        period = min((each.period for each in self.queries.values() if each.metric), default=query.period)
        return expression.value({name: self.get(name) for name in sorted(names)}, self.window.slots(period))


def answer(queries: Sequence[Query], samples: Samples, window: Window) -> dict[str, Series]:
    """Return the values of each query with *is_returned*; raises a ValueError for unsupported expressions."""
    found = _Answer({query.id: query for query in queries}, samples, window)
    return {query.id: found.get(query.id) for query in queries if query.is_returned}
