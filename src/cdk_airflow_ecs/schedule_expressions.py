"""Schedule expressions of EventBridge Scheduler and Application Auto Scaling. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.tokens import is_token

_FIELDS: Final = 6
_RATE: Final = re.compile(r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minutes|hours|days))\)")


def check_schedule(owner: str, schedule: object, time_zone: object) -> None:
    """Raise ``ValueError`` unless *schedule* is ``cron(…)``, ``rate(…)``, ``at(…)``, a token or None, in a time zone.

    Args:
        owner: what has the schedule, for messages.
        schedule: the expression.
        time_zone: an IANA name, such as "Europe/Berlin".
    """
    if schedule is not None and not (isinstance(schedule, str) and (is_token(schedule) or _is_expression(schedule))):
        raise ValueError(
            f'{owner} must be "cron(0 3 * * ? *)" (minutes, hours, day of month, month, day of week, year; one of the'
            f' days is ?), "rate(1 day)" or "at(2027-01-31T20:00:00)", got {validation.shown(schedule)}'
        )
    validation.text(f"{owner}: time_zone", time_zone, "Europe/Berlin", required=True)
    if isinstance(time_zone, str) and not is_token(time_zone) and not _is_zone(time_zone):
        raise ValueError(
            f'{owner}: time_zone must be an IANA name such as "Europe/Berlin", got {validation.shown(time_zone)}'
        )


def _is_expression(text: str) -> bool:
    if text.startswith("at("):
        try:
            datetime.strptime(text, "at(%Y-%m-%dT%H:%M:%S)")
        except ValueError:
            return False
        return True
    if _RATE.fullmatch(text):
        return True
    found = re.fullmatch(r"cron\((.+)\)", text)
    fields = found[1].split() if found else []
    # "Day of month" and "day of week" exclude each other (EventBridge Scheduler User Guide, "Schedule types"; the same
    # in Application Auto Scaling: hashicorp/terraform-provider-aws#13995).
    return len(fields) == _FIELDS and "?" in (fields[2], fields[4])


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A machine without time zone data knows no name.
        return not _has_zones()
    return True


def _has_zones() -> bool:
    try:
        ZoneInfo("Europe/Berlin")
    except ZoneInfoNotFoundError:
        return False
    return True


__all__ = ["check_schedule"]
