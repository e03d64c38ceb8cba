"""The limits of a scaler: its minimum and maximum number of tasks, now and at certain times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.scaling_schedule import MOST_TASKS, ScalingSchedule
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

_EXAMPLE: Final = '[ScalingSchedule("night", when="cron(0 20 * * ? *)", max_count=1)]'


def check_limits(
    owner: str,
    min_count: int,
    max_count: int,
    schedules: Sequence[ScalingSchedule],
    *,
    least: int = 0,
    tokens: bool = False,
) -> tuple[ScalingSchedule, ...]:
    """Return the schedules, or raise ``ValueError`` for limits that Application Auto Scaling would reject.

    Args:
        owner: class of the scaling, for messages.
        min_count: minimum number of tasks.
        max_count: maximum number of tasks.
        schedules: other limits at certain times.
        least: the smallest accepted *min_count*.
        tokens: whether the numbers may be known only at deploy time.
    """
    validation.integer(f"{owner} min_count", min_count, least, MOST_TASKS, tokens=tokens)
    validation.integer(f"{owner} max_count", max_count, 1, MOST_TASKS, tokens=tokens)
    if not is_token(min_count) and not is_token(max_count) and min_count > max_count:
        raise IncompatibleArgumentsError(f"{owner} min_count={min_count} must be at most max_count={max_count}")
    found = validation.items(f"{owner} schedules", schedules, _EXAMPLE)
    for schedule in found:
        validation.instance(f"{owner} schedules", schedule, ScalingSchedule, _EXAMPLE[1:-1])
    names = [schedule.name for schedule in found]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise IncompatibleArgumentsError(f"{owner} schedules: two are named {repeated[0]!r}. Names must be unique")
    _check_single_limits(
        owner, [min_count, *(each.min_count for each in found)], [max_count, *(each.max_count for each in found)], found
    )
    return found


def _check_single_limits(
    owner: str, minima: Sequence[int | None], maxima: Sequence[int | None], schedules: Sequence[ScalingSchedule]
) -> None:
    """Refuse a schedule with one limit that can contradict the other limit, as it is at that time.

    Application Auto Scaling would reject the action when it runs (user guide, "Scheduled scaling").
    """
    lowest, highest = _known(minima), _known(maxima)
    for each in schedules:
        if each.min_count is None and each.max_count is not None and each.max_count < max(lowest, default=0):
            raise IncompatibleArgumentsError(
                f"{owner} schedules: {each.name!r} sets max_count={each.max_count}, but min_count can be"
                f" {max(lowest)} then. Pass min_count= too"
            )
        if each.max_count is None and each.min_count is not None and each.min_count > min(highest, default=MOST_TASKS):
            raise IncompatibleArgumentsError(
                f"{owner} schedules: {each.name!r} sets min_count={each.min_count}, but max_count can be"
                f" {min(highest)} then. Pass max_count= too"
            )


def _known(limits: Sequence[int | None]) -> list[int]:
    return [each for each in limits if each is not None and not is_token(each)]


def add_schedules(tasks: ecs.ScalableTaskCount, schedules: Sequence[ScalingSchedule]) -> None:
    """Create a scheduled action for each schedule."""
    from aws_cdk import TimeZone  # noqa: PLC0415
    from aws_cdk import aws_applicationautoscaling as appscaling  # noqa: PLC0415 (slow to load, needed only here)

    for schedule in schedules:
        tasks.scale_on_schedule(
            schedule.name,
            schedule=appscaling.Schedule.expression(schedule.when),
            min_capacity=schedule.min_count,
            max_capacity=schedule.max_count,
            time_zone=TimeZone.of(schedule.time_zone),
        )
