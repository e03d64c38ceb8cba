"""CloudWatch metrics: samples, their statistics by period, and the embedded metric format."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple

Series = dict[int, float]
"""Values by the start of their period, in seconds since 1970."""


class Metric(NamedTuple):
    """The namespace, name and dimensions of a metric; *dimensions* are (name, value) pairs."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Sample:
    """A metric value, or the statistics of several values, at a time (*at*, seconds since 1970)."""

    at: float
    minimum: float
    maximum: float
    total: float
    count: float = 1.0

    @classmethod
    def of(cls, at: float, value: float) -> Sample:
        """Return the sample of one value."""
        return cls(at, value, value, value)


def series(samples: Iterable[Sample], statistic: str, period: int, start: int, end: int) -> Series:
    """Return the statistic of each period of *period* seconds between *start* and *end* that has samples.

    Examples:
        >>> series([Sample.of(60, 1), Sample.of(119, 3), Sample.of(120, 5)], "Average", 60, 60, 180)
        {60: 2.0, 120: 5.0}
    """
    found: dict[int, list[Sample]] = {}
    for sample in samples:
        if start <= sample.at < end:
            found.setdefault(start + int(sample.at - start) // period * period, []).append(sample)
    return {at: _statistic(found[at], statistic) for at in sorted(found)}


def _statistic(samples: list[Sample], name: str) -> float:
    if name == "Minimum":
        return min(sample.minimum for sample in samples)
    if name == "Maximum":
        return max(sample.maximum for sample in samples)
    total, count = sum(sample.total for sample in samples), sum(sample.count for sample in samples)
    if name == "Sum":
        return total
    if name == "SampleCount":
        return count
    if name == "Average":
        return total / count
    if name.startswith("p"):
        return _percentile(samples, float(name[1:]))
    raise ValueError(f"the statistic {name} is not supported; use Average, Sum, Minimum, Maximum, SampleCount or p99")


def _percentile(samples: list[Sample], percent: float) -> float:
    values = sorted(sample.total / sample.count for sample in samples for _ in range(int(sample.count)))
    return values[max(math.ceil(percent / 100 * len(values)) - 1, 0)]


def embedded(message: str, at: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield namespace and datum, as in `PutMetricData`, of each metric in a log event of the embedded metric format.

    *at* is the event's time in seconds since 1970, used if the event contains none. Invalid events have no metrics
    (CloudWatch_Embedded_Metric_Format_Specification.html in docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring).

    Examples:
        >>> line = '{"_aws": {"Timestamp": 60000, "CloudWatchMetrics": [{"Namespace": "Acme", "Dimensions": [["Pool"]],'
        >>> line += ' "Metrics": [{"Name": "Waiting", "Unit": "Count"}]}]}, "Pool": "default", "Waiting": 3}'
        >>> for namespace, datum in embedded(line, 0):
        ...     print(namespace, datum["MetricName"], datum["Values"], datum["Dimensions"])
        Acme Waiting [3.0] [{'Name': 'Pool', 'Value': 'default'}]
    """
    if '"_aws"' not in message:
        return
    try:
        event = json.loads(message)
        about = event["_aws"]
        stamp = _moment(float(about.get("Timestamp", at * 1000)) / 1000)
        directives = list(about["CloudWatchMetrics"])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return
    for directive in directives:
        if isinstance(directive, dict) and isinstance(directive.get("Namespace"), str):
            for datum in _data(event, directive):
                yield directive["Namespace"], {**datum, "Timestamp": stamp}


def _data(event: Mapping[str, Any], directive: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    sets = [names for names in directive.get("Dimensions") or [[]] if all(isinstance(event.get(n), str) for n in names)]
    for metric in directive.get("Metrics") or ():
        values = event.get(metric.get("Name"))
        values = values if isinstance(values, list) else [values]
        numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if not numbers or not all(map(math.isfinite, numbers)):
            continue
        for names in sets:
            yield {
                "MetricName": metric["Name"],
                "Values": numbers,
                "Unit": metric.get("Unit", "None"),
                "Dimensions": [{"Name": name, "Value": event[name]} for name in names],
            }


def _moment(seconds: float) -> datetime:
    """Return a time in UTC without time zone, because moto stores such times."""
    return datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)
