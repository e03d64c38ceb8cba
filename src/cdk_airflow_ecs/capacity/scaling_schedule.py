"""Limits of a scaling at certain times."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from typing import Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.tokens import is_token

# Amazon ECS service quotas, "Tasks per service".
MOST_TASKS: Final = 5_000
# Application Auto Scaling API Reference, PutScheduledAction: cron has six fields, the last is the year.
_TIMES: Final = re.compile(r"cron\(\S+( \S+){5}\)|rate\([1-9]\d* \w+\)|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)")


@dataclass(frozen=True, slots=True)
class ScalingSchedule:
    """A scheduled action of Application Auto Scaling, which sets the limits of a pool until the next one.

    Args:
        name: its name, visible in the console.
        when: ``"cron(minutes hours day-of-month month day-of-week year)"``, such as "cron(0 20 ? * MON-FRI *)", or
            ``"at(yyyy-mm-ddThh:mm:ss)"``, or ``"rate(1 hour)"``.
        min_count: the new minimum number of workers. The default keeps the present one.
        max_count: the new maximum number of workers. The default keeps the present one.
        time_zone: IANA name of the time zone of *when*.

    Raises:
        ValueError: if *when* is not such an expression, or a number is out of range.

    Examples:
        >>> ScalingSchedule("night", when="cron(0 20 ? * MON-FRI *)", max_count=2, time_zone="Europe/Berlin").max_count
        2
    """

    name: str
    _: KW_ONLY
    when: str
    min_count: int | None = None
    max_count: int | None = None
    time_zone: str = "Etc/UTC"

    def __post_init__(self) -> None:
        validation.name("ScalingSchedule name", self.name)
        owner = f"ScalingSchedule {self.name!r}"
        if not isinstance(self.when, str) or not (is_token(self.when) or _TIMES.fullmatch(self.when)):
            raise ValueError(
                f'{owner}: when must be cron(…) with six fields, such as "cron(0 20 ? * MON-FRI *)", at(…) or rate(…),'
                f" got {validation.shown(self.when)}"
            )
        validation.text(f"{owner}: time_zone", self.time_zone, "Europe/Berlin", required=True)
        if self.min_count is None and self.max_count is None:
            raise IncompatibleArgumentsError(f"{owner} changes nothing. Pass min_count=, max_count= or both")
        if self.min_count is not None:
            validation.integer(f"{owner}: min_count", self.min_count, 0, MOST_TASKS)
        if self.max_count is not None:
            validation.integer(f"{owner}: max_count", self.max_count, 0, MOST_TASKS)
        if self.min_count is not None and self.max_count is not None and self.min_count > self.max_count:
            raise IncompatibleArgumentsError(
                f"{owner}: min_count={self.min_count} must be at most max_count={self.max_count}"
            )
