"""Creation of alarms, their sources and the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.monitoring.alarm import Alarm, Metric


def put_alarm(scope: Construct, alarm: Alarm, *, topic_arn: str | None, quiet: bool) -> cloudwatch.CfnAlarm:
    """Create *alarm* in *scope*, or update it if it exists.

    Args:
        scope: its parent; the last part of the alarm's path is the construct id.
        alarm: the alarm.
        topic_arn: the topic of messages.
        quiet: whether the alarm sends no messages.
    """
    actions = [] if topic_arn is None else [topic_arn]
    properties: dict[str, Any] = {
        "alarm_description": f"{alarm.meaning}. Runbook: docs/guides/operate/alarms.md, {alarm.kind}",
        "comparison_operator": OPERATORS[alarm.comparison],
        "threshold": alarm.threshold,
        "evaluation_periods": alarm.periods,
        "datapoints_to_alarm": alarm.periods,
        "treat_missing_data": alarm.missing,
        "alarm_actions": actions,
        "ok_actions": actions,
        "actions_enabled": not quiet,
        **(_math(alarm) if alarm.expression else _single(alarm.metrics[0])),
    }
    construct_id = alarm.path.rpartition("/")[2]
    found = scope.node.try_find_child(construct_id)
    if found is None:
        return cloudwatch.CfnAlarm(scope, construct_id, **properties)
    existing = cast("cloudwatch.CfnAlarm", found)
    for name, value in properties.items():
        setattr(existing, name, value)
    return existing


def put_dashboard(scope: Construct, body: Mapping[str, object]) -> None:
    """Create the dashboard in *scope*, or update it if it exists."""
    text = Stack.of(scope).to_json_string(body)
    found = scope.node.try_find_child("Dashboard")
    if found is None:
        cloudwatch.CfnDashboard(scope, "Dashboard", dashboard_body=text)
    else:
        cast("cloudwatch.CfnDashboard", found).dashboard_body = text


OPERATORS = {">=": "GreaterThanOrEqualToThreshold", "<": "LessThanThreshold"}


def _single(metric: Metric) -> dict[str, Any]:
    return {
        "namespace": metric.namespace,
        "metric_name": metric.name,
        "dimensions": _dimensions(metric),
        "statistic": metric.statistic,
        "period": metric.period_seconds,
    }


def _math(alarm: Alarm) -> dict[str, Any]:
    queries = [
        cloudwatch.CfnAlarm.MetricDataQueryProperty(
            id=f"m{number}",
            return_data=False,
            metric_stat=cloudwatch.CfnAlarm.MetricStatProperty(
                metric=cloudwatch.CfnAlarm.MetricProperty(
                    namespace=metric.namespace, metric_name=metric.name, dimensions=_dimensions(metric)
                ),
                period=metric.period_seconds,
                stat=metric.statistic,
            ),
        )
        for number, metric in enumerate(alarm.metrics, 1)
    ]
    result = cloudwatch.CfnAlarm.MetricDataQueryProperty(
        id="value", expression=alarm.expression, label=alarm.kind, return_data=True
    )
    return {"metrics": [*queries, result]}


def _dimensions(metric: Metric) -> list[cloudwatch.CfnAlarm.DimensionProperty]:
    return [cloudwatch.CfnAlarm.DimensionProperty(name=name, value=value) for name, value in metric.dimensions.items()]
