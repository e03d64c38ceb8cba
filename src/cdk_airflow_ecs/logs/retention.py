"""Retention of CloudWatch log groups."""

from __future__ import annotations

from typing import Final, cast

from aws_cdk import aws_logs as logs

from cdk_airflow_ecs import validation

# The values that CloudWatch Logs accepts (API Reference, PutRetentionPolicy).
_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180),
    *(365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def check_retention(name: str, days: object) -> None:
    """Raise ValueError if CloudWatch does not support *days*. None means forever."""
    if days is not None and (isinstance(days, bool) or days not in _DAYS):
        raise ValueError(f"{name} must be one of {', '.join(map(str, _DAYS))}, or None; got {validation.shown(days)}")


def keep(group: logs.LogGroup, days: int | None) -> None:
    """Set the retention of *group* to *days*."""
    if days is not None:
        cast("logs.CfnLogGroup", group.node.default_child).retention_in_days = days
