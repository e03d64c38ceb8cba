"""Limits of a scaling at certain times."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.schedule_expressions import check_schedule

# Amazon ECS service quotas, "Tasks per service".
MOST_TASKS: Final = 5_000


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
        validation.text(f"{owner}: when", self.when, "cron(0 20 ? * MON-FRI *)", required=True)
        check_schedule(f"{owner}: when", self.when, self.time_zone)
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
