"""Alarm states, metric math and the embedded metric format, as CloudWatch documents them."""

from __future__ import annotations

import json

import pytest

from cdk_airflow_ecs.local.scaling.alarms import Alarm, evaluate
from cdk_airflow_ecs.local.scaling.expressions import Expression
from cdk_airflow_ecs.local.scaling.metrics import Metric, Sample, embedded, series
from cdk_airflow_ecs.local.scaling.queries import Query, Window, answer

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
# The tables of docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html: M of N, values
# (the oldest first), and the state for each treatment; "kept" is the previous state.
DOCUMENTED = [
    (3, 3, "0-X-X", "OK", "OK", "OK", "OK"),
    (3, 3, "0----", "OK", "OK", "OK", "OK"),
    (3, 3, "-----", "INSUFFICIENT_DATA", "kept", "ALARM", "OK"),
    (3, 3, "0XX-X", "ALARM", "ALARM", "ALARM", "ALARM"),
    (3, 3, "--X--", "ALARM", "kept", "ALARM", "OK"),
    (2, 3, "0-X-X", "ALARM", "ALARM", "ALARM", "ALARM"),
    (2, 3, "00X0X", "ALARM", "ALARM", "ALARM", "ALARM"),
    (2, 3, "0-X--", "OK", "OK", "ALARM", "OK"),
    (2, 3, "----0", "OK", "OK", "ALARM", "OK"),
    (2, 3, "---X-", "ALARM", "kept", "ALARM", "OK"),
    # From the text of that page: if 3 of 3 values must breach, a single breaching value among missing ones is no alarm.
    (3, 3, "----X", "OK", "OK", "ALARM", "OK"),
    (3, 3, "---X-", "OK", "OK", "ALARM", "OK"),
    # 1 of 1, as in QueueScaling: the last value decides the state; without values, the treatment decides.
    (1, 1, "X--", "ALARM", "ALARM", "ALARM", "ALARM"),
    (1, 1, "0--", "OK", "OK", "OK", "OK"),
    (1, 1, "---", "INSUFFICIENT_DATA", "kept", "ALARM", "OK"),
]


def alarm(*queries: Query, **given) -> Alarm:
    """Return an alarm whose metric breaches the threshold with values of at least 1."""
    defaults = {"comparison": "GreaterThanOrEqualToThreshold", "threshold": 1, "periods": 1, "to_alarm": 1}
    return Alarm(name="it", queries=queries or (Query(id="m1", metric=Metric("n", "m")),), **defaults | given)


@pytest.mark.parametrize("treatment", TREATMENTS)
@pytest.mark.parametrize("row", DOCUMENTED, ids=lambda row: f"{row[0]} of {row[1]} {row[2]}")
def test_missing_data_is_treated_as_documented(row, treatment):
    """For each row of CloudWatch's tables about missing data, the alarm has the documented state."""
    to_alarm, periods, text, *states = row
    expected = dict(zip(TREATMENTS, states, strict=True))[treatment]
    values = [{"0": 0.0, "X": 2.0, "-": None}[sign] for sign in text]
    for state in ("OK", "ALARM"):
        found = evaluate(alarm(periods=periods, to_alarm=to_alarm, missing=treatment), values, state)
        assert found.state == (state if expected == "kept" else expected)


def test_an_alarm_evaluates_only_complete_periods():
    """An alarm retrieves only complete minutes, two more than its evaluation periods."""
    samples = [Sample.of(at, at) for at in (60, 119, 120, 185)]
    values = alarm(Query(id="m1", metric=Metric("n", "m"), statistic="Maximum")).values(lambda *_: samples, 190)
    assert values == [None, 119, 120]


def test_an_alarm_can_use_a_metric_math_expression():
    """The alarm compares the result of the expression with the threshold; the metrics are only inputs."""
    queries = (
        Query(id="visible", metric=Metric("AWS/SQS", "Visible"), statistic="Maximum", is_returned=False),
        Query(id="hidden", metric=Metric("AWS/SQS", "NotVisible"), statistic="Maximum", is_returned=False),
        Query(id="e1", expression="CEIL((visible + FILL(hidden, 0)) / 4)"),
    )
    samples = {"Visible": [Sample.of(60, 6), Sample.of(120, 9)], "NotVisible": [Sample.of(120, 3)]}
    assert alarm(*queries).values(lambda metric, _: samples[metric.name], 180) == [None, 2, 3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m1 * 2 - 1", {0: 1, 60: 3, 120: 5}),
        ("m1 / m2", {60: 0.5}),  # no value at 120, because of a division by zero
        ("MAX([m1, m2])", {0: 1, 60: 4, 120: 3}),
        ("MAX(METRICS())", {0: 1, 60: 4, 120: 3}),
        ("SUM(m1)", {0: 6, 60: 6, 120: 6}),
        ("IF(m1 > 1 AND m2 < 1, 7, 0)", {60: 0, 120: 7}),
        ("FILL(m2, REPEAT)", {60: 4, 120: 0}),
        ("FILL(m2, 9)", {0: 9, 60: 4, 120: 0}),
        ("-m1 ^ 2", {0: -1, 60: -4, 120: -9}),
    ],
)
def test_metric_math_combines_series_at_common_times(text, expected):
    """Two series are combined at the times that both have."""
    known = {"m1": {0: 1.0, 60: 2.0, 120: 3.0}, "m2": {60: 4.0, 120: 0.0}}
    assert Expression.parse(text).value(known, [0, 60, 120]) == expected


@pytest.mark.parametrize(
    "text", ["ANOMALY_DETECTION_BAND(m1, 2)", "SELECT MAX(x) FROM y", "m9", "[m1]", "__import__('os')"]
)
def test_unsupported_metric_math_expressions_are_errors(text):
    """The error of an unsupported expression contains the expression."""
    with pytest.raises(ValueError, match=r"the (expression|query)"):
        answer(
            [Query(id="m1", metric=Metric("n", "m"), is_returned=False), Query(id="e1", expression=text)],
            lambda *_: [Sample.of(0, 1)],
            Window(start=0, end=60),
        )


def test_metric_math_expressions_that_refer_to_each_other_are_an_error():
    """Two expressions that refer to each other raise an error instead of an endless loop."""
    with pytest.raises(ValueError, match="refers to itself"):
        answer([Query(id="e1", expression="e2"), Query(id="e2", expression="e1")], list, Window(start=0, end=60))


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [("Sum", 12), ("Average", 3), ("Minimum", 1), ("Maximum", 5), ("SampleCount", 4), ("p50", 3), ("p100", 4)],
)
def test_statistics_combine_values_and_statistic_sets(statistic, expected):
    """Single values and statistic sets of a period are combined."""
    samples = [Sample.of(60, 1), Sample(61, 3, 5, 8, 2), Sample.of(62, 3), Sample.of(120, 99)]
    assert series(samples, statistic, 60, 60, 120) == {60: expected}


def event(**values) -> str:
    """Return a log line in the embedded metric format, with two metrics in two dimension sets."""
    directive = {
        "Namespace": "cdk-airflow-ecs",
        "Dimensions": [["Cluster", "Pool"], []],
        "Metrics": [{"Name": "RequiredWorkers", "Unit": "Count"}, {"Name": "Other"}],
    }
    return json.dumps({"_aws": {"Timestamp": 1000, "CloudWatchMetrics": [directive]}, "Cluster": "c", **values})


def test_a_log_line_in_the_embedded_metric_format_becomes_metric_data():
    """A log line creates a metric for each dimension set whose values it contains; a missing metric is skipped."""
    found = list(embedded(event(Pool="default", RequiredWorkers=[3, 4]), 0))
    assert [namespace for namespace, _ in found] == ["cdk-airflow-ecs"] * 2
    assert [[each["Value"] for each in datum["Dimensions"]] for _, datum in found] == [["c", "default"], []]
    assert {(datum["MetricName"], *datum["Values"]) for _, datum in found} == {("RequiredWorkers", 3.0, 4.0)}
    assert len(list(embedded(event(RequiredWorkers=3), 0))) == 1


@pytest.mark.parametrize(
    "line",
    [
        'a line with "_aws"',
        '"_aws"',
        '{"_aws": 1}',
        '{"_aws": {"CloudWatchMetrics": 1}}',
        '{"_aws": {"CloudWatchMetrics": [1]}}',
        event(Pool="default", RequiredWorkers="3"),
        event(Pool="default", RequiredWorkers=float("nan")),
        event(Pool="default", RequiredWorkers=True),
    ],
)
def test_log_lines_in_other_formats_are_not_metrics(line):
    """Lines in other formats than the embedded metric format, and values that are not numbers, are ignored."""
    assert list(embedded(line, 0)) == []
