"""CpuScaling: its effect on the plan, and rejected arguments."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plans import NUMBER_TOKEN, VERSIONS

from cdk_airflow_ecs import (
    CeleryExecutor,
    CpuScaling,
    ExternalScaling,
    LocalExecutor,
    ScalingSchedule,
    Service,
    WorkerPool,
)
from cdk_airflow_ecs.testing import plan_of

SCALED = Service(scaling=CpuScaling())


def night(**limits: int) -> ScalingSchedule:
    """Return a ScalingSchedule with this minimum and maximum."""
    return ScalingSchedule("night", when="cron(0 20 * * ? *)", **limits)


@pytest.mark.parametrize("line", VERSIONS)
def test_cpu_scaling_changes_only_the_count_of_the_web_component(line):
    """CpuScaling replaces the count of the API server or webserver, and changes nothing else in the plan."""
    before, after = (plan_of(version=VERSIONS[line], services=services) for services in ({}, {"ApiServer": SCALED}))
    web = "ApiServer" if line >= "3" else "Webserver"
    assert after.component(web).scaling == CpuScaling()
    for old, new in zip(before.components, after.components, strict=True):
        assert new == (replace(old, count=None, scaling=CpuScaling()) if old.name == web else old)
    assert before.edges == after.edges


def test_the_scaler_stops_the_web_component_during_maintenance():
    """With maintenance=True, a web component with CpuScaling has no desired count: its scalable target sets zero."""
    plan = plan_of(services={"ApiServer": SCALED}, maintenance=True)
    assert (plan.component("ApiServer").count, plan.component("ApiServer").scaling) == (None, CpuScaling())
    assert plan.component("Scheduler").count == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CpuScaling(min_count=0), r"CpuScaling min_count must be an integer \(1 to 5000\), got 0"),
        (lambda: CpuScaling(max_count=0), r"CpuScaling max_count must be an integer \(1 to 5000\), got 0"),
        (lambda: CpuScaling(min_count=5), "min_count=5 must be at most max_count=4"),
        (lambda: CpuScaling(target_percent=100), r"target_percent must be an integer \(1 to 99\), got 100"),
        (lambda: CpuScaling(target_percent=0.6), r"target_percent must be an integer \(1 to 99\), got 0.6"),
        (lambda: CpuScaling(requests_per_target=0), r"requests_per_target must be an integer \(1 or more\), got 0"),
        (lambda: CpuScaling(schedules="night"), "CpuScaling schedules must be a list such as"),
        (lambda: CpuScaling(schedules=[night(max_count=1), night(min_count=1)]), "two are named 'night'"),
        (
            lambda: CpuScaling(min_count=2, schedules=[night(max_count=1)]),
            "min_count can be 2 then. Pass min_count= too",
        ),
        (lambda: CpuScaling(schedules=[night(min_count=9)]), "max_count can be 4 then. Pass max_count= too"),
        (lambda: CpuScaling(schedules=[night(min_count=0, max_count=0)]), "at least 1.*maintenance=True"),
        (lambda: CpuScaling(schedules=[night(min_count=0, max_count=2)]), "at least 1.*maintenance=True"),
    ],
)
def test_invalid_arguments_of_cpu_scaling_are_rejected(make, message):
    """The error has the given and the accepted values."""
    with pytest.raises(ValueError, match=message):
        make()


def test_numbers_of_cpu_scaling_may_be_tokens():
    """All numbers in the arguments of CpuScaling may be tokens."""
    scaling = CpuScaling(
        min_count=NUMBER_TOKEN, max_count=2, target_percent=NUMBER_TOKEN, requests_per_target=NUMBER_TOKEN
    )
    assert scaling.max_count == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"services": {"Scheduler": SCALED}}, r"Scheduler has .*\[core\] parallelism. Use count="),
        ({"services": {"Scheduler": SCALED}, "executor": LocalExecutor()}, "Scheduler has .*api_server="),
        ({"services": {"DagProcessor": SCALED}}, "DagProcessor has .*parses all DAG files.*Use cpu="),
        ({"services": {"Triggerer": SCALED}}, "Triggerer has .*number of triggers.*Use count="),
        (
            {"executor": CeleryExecutor(pools=[WorkerPool("default", scaling=CpuScaling())])},
            r"Pools/default has .*Use QueueScaling\(…\)",
        ),
    ],
)
@pytest.mark.parametrize("line", ["3.3", "2.11"])
def test_only_the_web_component_scales_by_cpu(arguments, message, line):
    """The error has the component, the reason and a remedy."""
    with pytest.raises(ValueError, match=message):
        plan_of(version=VERSIONS[line], **arguments)


def test_external_scaling_is_accepted_for_every_service():
    """The errors of CpuScaling recommend ExternalScaling."""
    services = {name: Service(scaling=ExternalScaling()) for name in ("Scheduler", "DagProcessor", "Triggerer")}
    plan = plan_of(services=services)
    assert [plan.component(name).count for name in services] == [None] * 3
