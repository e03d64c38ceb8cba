"""How long CloudWatch Logs keeps what it was sent."""

from __future__ import annotations

from typing import Final, cast

from aws_cdk import aws_logs as logs

from cdk_airflow_ecs import validation

# CloudWatch Logs API, PutRetentionPolicy.
_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180),
    *(365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def check_retention(name: str, days: object) -> None:
    """Refuse a number of days that CloudWatch does not take; None keeps logs for ever.

    Raises:
        ValueError: naming the numbers accepted.
    """
    if days is not None and (isinstance(days, bool) or days not in _DAYS):
        raise ValueError(f"{name} is one of {', '.join(map(str, _DAYS))}, or None; got {validation.shown(days)}")


def keep(group: logs.LogGroup, days: int | None) -> None:
    """Let *group*, which was made to keep everything, keep it for *days*."""
    if days is not None:
        cast("logs.CfnLogGroup", group.node.default_child).retention_in_days = days
