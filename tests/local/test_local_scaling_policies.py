"""Desired counts of scaling policies and times of schedules, as Application Auto Scaling documents them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from cdk_airflow_ecs.local.scaling.policies import (
    Activity,
    Capacity,
    Step,
    StepPolicy,
    TargetTrackingPolicy,
    by_steps,
    by_target,
    within,
)
from cdk_airflow_ecs.local.scaling.schedules import Schedule

EXACT = StepPolicy(
    adjustment_type="ExactCapacity",
    steps=(*(Step(adjustment=n, lower=n, upper=n + 1) for n in range(3)), Step(adjustment=3, lower=3)),
    cooldown=60,
    aggregation="Maximum",
)
# The example in docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html
PERCENT_OUT = StepPolicy(
    adjustment_type="PercentChangeInCapacity",
    steps=(
        Step(adjustment=0, lower=0, upper=10),
        Step(adjustment=10, lower=10, upper=20),
        Step(adjustment=30, lower=20),
    ),
)
PERCENT_IN = StepPolicy(
    adjustment_type="PercentChangeInCapacity",
    steps=(
        Step(adjustment=0, lower=-10, upper=0),
        Step(adjustment=-10, lower=-20, upper=-10),
        Step(adjustment=-30, upper=-20),
    ),
)


def capacity(desired: int, least: int = 0, most: int = 20, running: int | None = None) -> Capacity:
    """Return the capacity of a service, all of whose tasks run."""
    return Capacity(desired=desired, running=desired if running is None else running, least=least, most=most)


def change(adjustment: int) -> StepPolicy:
    """Return a step scaling policy that adds or removes tasks."""
    return StepPolicy(adjustment_type="ChangeInCapacity", steps=(Step(adjustment=adjustment, lower=0),))


@pytest.mark.parametrize(
    ("desired", "breach", "expected"), [(0, 0, None), (0, 2, 2), (1, 40, 3), (3, 0, 0), (2, 2, None)]
)
def test_exact_capacities_scale_between_zero_and_the_maximum(desired, breach, expected):
    """Steps with exact capacities scale from zero to the maximum and back to zero."""
    assert by_steps(EXACT, capacity(desired), breach=breach, last=None, now=0) == expected


@pytest.mark.parametrize(
    ("policy", "base", "breach", "expected"),
    [
        (PERCENT_OUT, 10, 9.9, 10),
        (PERCENT_OUT, 10, 10, 11),
        (PERCENT_OUT, 11, 20, 14),
        (PERCENT_IN, 14, -10, 13),
        (PERCENT_IN, 14, -9.9, 14),
        (PERCENT_IN, 13, -20, 10),
        (PERCENT_OUT, 10, -1, None),
    ],
)
def test_percent_steps_equal_the_example_in_the_aws_documentation(policy, base, breach, expected):
    """A step's bound nearer to the threshold is inclusive; changes are rounded towards zero, but not to zero."""
    assert policy.wanted(breach=breach, base=base) == expected


def test_a_percent_step_changes_at_least_the_minimum_number_of_tasks():
    """25 percent of 4 tasks adds 1 task, or 2 with a minimum change of 2."""
    policy = StepPolicy(adjustment_type="PercentChangeInCapacity", steps=(Step(adjustment=25, lower=0),), magnitude=2)
    assert policy.wanted(breach=1, base=4) == 6


def test_tasks_already_added_in_the_cooldown_are_subtracted():
    """In the cooldown after 2 added tasks, an alarm for 3 more adds 1, and an alarm for 2 more adds none."""
    last = Activity(until=300, before=2, after=4)
    assert by_steps(change(3), capacity(4), breach=0, last=last, now=299) == 5
    assert by_steps(change(2), capacity(4), breach=0, last=last, now=299) is None
    assert by_steps(change(2), capacity(4), breach=0, last=last, now=300) == 6


def test_a_larger_exact_capacity_does_not_wait_for_the_cooldown():
    """A larger exact capacity is set even during the cooldown of a scale-out or scale-in."""
    for last in (Activity(until=60, before=0, after=1), Activity(until=60, before=3, after=1)):
        assert by_steps(EXACT, capacity(1), breach=3, last=last, now=10) == 3


def test_scale_in_waits_for_the_end_of_the_cooldown():
    """Scale-in is blocked until the cooldown is over."""
    last = Activity(until=60, before=0, after=3)
    assert by_steps(EXACT, capacity(3), breach=0, last=last, now=59) is None
    assert by_steps(EXACT, capacity(3), breach=0, last=last, now=60) == 0


@pytest.mark.parametrize(
    ("desired", "adjustment", "expected"),
    [(3, 9, 5), (5, 9, None), (7, 9, None), (7, -1, 5), (3, -9, 2), (2, -9, None), (1, -1, None), (0, 1, 2)],
)
def test_desired_counts_stay_within_the_limits(desired, adjustment, expected):
    """Desired counts stay within the limits 2 and 5; counts outside change only towards them."""
    found = by_steps(change(adjustment), capacity(desired, 2, 5), breach=0, last=None, now=0)
    assert found == expected


def test_relative_changes_start_from_the_running_count():
    """A relative change is added to the running count; a policy that adds tasks never removes any."""
    assert by_steps(change(1), capacity(3, running=3), breach=0, last=None, now=0) == 4
    assert by_steps(change(1), capacity(3, running=1), breach=0, last=None, now=0) is None


def test_a_desired_count_outside_new_limits_becomes_the_nearest_limit():
    """Inside the limits 2 and 5, the desired count does not change."""
    assert [within(capacity(n, 2, 5)) for n in (1, 2, 5, 6)] == [2, None, None, 5]


def test_target_tracking_scales_in_proportion_to_the_metric():
    """With target tracking, the desired count is proportional to the metric, but stays zero once it is zero."""
    policy = TargetTrackingPolicy(target=60)
    assert by_target(policy, capacity(2), value=90, last=None, now=0) == 3
    assert by_target(policy, capacity(4), value=15, last=None, now=0) == 1
    assert by_target(policy, capacity(0), value=90, last=None, now=0) is None
    last = Activity(until=300, before=5, after=4)
    assert by_target(policy, capacity(4), value=15, last=last, now=299) is None
    assert by_target(TargetTrackingPolicy(target=60, scales_in=False), capacity(4), value=1, last=None, now=0) is None


def at(text: str) -> datetime:
    """Return a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("expression", "zone", "moment", "expected"),
    [
        ("cron(0 8 ? * MON-FRI *)", None, "2026-07-03 08:00", "2026-07-06 08:00"),
        ("cron(0/15 * * * ? *)", None, "2026-07-03 08:01", "2026-07-03 08:15"),
        ("cron(30 6 ? * 2 *)", None, "2026-07-03 08:01", "2026-07-06 06:30"),
        ("cron(0 8 L * ? *)", None, "2026-02-03 00:00", "2026-02-28 08:00"),
        ("cron(0 8 ? * 6L *)", None, "2026-07-03 09:00", "2026-07-31 08:00"),
        ("cron(0 8 ? * TUE#2 *)", None, "2026-07-03 09:00", "2026-07-14 08:00"),
        ("cron(0 8 1 1 ? 2028)", None, "2026-07-03 09:00", "2028-01-01 08:00"),
        ("cron(0 8 1 1 ? 2020)", None, "2026-07-03 09:00", None),
        ("cron(0 20 ? * MON-FRI *)", "Europe/Berlin", "2026-01-05 12:00", "2026-01-05 19:00"),
        ("cron(0 20 ? * MON-FRI *)", "Europe/Berlin", "2026-07-06 12:00", "2026-07-06 18:00"),
        ("cron(0 1 ? * SUN *)", "Pacific/Auckland", "2026-07-03 12:00", "2026-07-04 13:00"),
        ("at(2026-07-03T08:00:00)", "Asia/Tokyo", "2026-07-02 22:59", "2026-07-02 23:00"),
        ("at(2026-07-03T08:00:00)", None, "2026-07-03 08:00", None),
        ("rate(5 minutes)", None, "2026-07-01 00:07", "2026-07-01 00:10"),
        ("rate(1 day)", None, "2026-07-01 00:00", "2026-07-02 00:00"),
    ],
)
def test_the_next_time_of_a_schedule_is_in_its_time_zone(expression, zone, moment, expected):
    """The next time of a schedule is after the given time, in the schedule's time zone."""
    schedule = Schedule.parse(expression, zone=zone, created=at("2026-07-01 00:00"))
    assert schedule.after(at(moment)) == (at(expected) if expected else None)


def test_a_scheduled_action_runs_only_between_its_start_and_end_time():
    """A scheduled action runs at its start time, and not after its end time."""
    limits = {"start": at("2026-07-03 07:30"), "end": at("2026-07-04 08:00")}
    schedule = Schedule.parse("cron(0 8 * * ? *)", created=at("2026-07-01 00:00"), **limits)
    times = [at("2026-07-01 09:00")]
    while (found := schedule.after(times[-1])) is not None:
        times.append(found)
    assert times[1:] == [at("2026-07-03 07:30"), at("2026-07-03 08:00"), at("2026-07-04 08:00")]


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 8 * * ?)",
        "cron(60 8 * * ? *)",
        "cron(0 8 15W * ? *)",
        "cron(0 8 ? * XYZ *)",
        "rate(0 minutes)",
        "every day",
    ],
)
def test_invalid_scaling_schedules_are_errors(expression):
    """An invalid or unsupported schedule is an error."""
    with pytest.raises(ValueError, match="schedule"):
        Schedule.parse(expression)
