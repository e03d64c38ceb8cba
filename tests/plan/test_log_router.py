"""Log routers: permissions and rejected arguments."""

from __future__ import annotations

import pytest
from plans import NUMBER_TOKEN, EcsSecret, plan

from cdk_airflow_ecs import AwsLogs, EcsExecutor, FireLens, Permission, Service
from cdk_airflow_ecs.ecs_task import EcsTask

ARN = "arn:aws:firehose:eu-central-1:123456789012:deliverystream/airflow"
OPTIONS = {"Name": "firehose", "region": "eu-central-1", "delivery_stream": "airflow"}
PUT = Permission(actions=("firehose:PutRecordBatch",), resources=(ARN,))


def test_every_service_has_the_permissions_of_its_log_router():
    """The migration task does not have the permissions of the log router."""
    routed = plan(log_router=FireLens(options=OPTIONS, permissions=[PUT]))
    for component in routed.components:
        assert (PUT in component.permissions) == (component.count is not None), component.name


def test_firelens_and_ecs_executor_are_incompatible():
    """The ECS executor would mistake the end of the log router for the end of the task."""
    with pytest.raises(ValueError, match=r"log_router=FireLens.* cannot be used with executor=EcsExecutor.*AwsLogs"):
        plan("3.3", "ecs", log_router=FireLens(options=OPTIONS))


def test_a_service_needs_more_memory_than_its_log_router_reserves():
    """A service needs more memory than its log router reserves."""
    words = r"log_router=FireLens\(memory_mib={}\) .* {}, which has {} MiB"
    for refused in ((1024, "DagProcessor", 1024), (100_000, "ApiServer", 2048)):
        with pytest.raises(ValueError, match=words.format(*refused)):
            plan(log_router=FireLens(options=OPTIONS, memory_mib=refused[0]))
    assert plan(log_router=FireLens(options=OPTIONS, memory_mib=1023)) == plan(log_router=FireLens(options=OPTIONS))
    large = {name: Service(cpu=1024, memory_mib=4096) for name in ("DagProcessor", "Triggerer")}
    with pytest.raises(ValueError, match="ApiServer, which has 2048 MiB"):
        plan(log_router=FireLens(options=OPTIONS, memory_mib=2048), services=large)
    token = Service(cpu=1024, memory_mib=NUMBER_TOKEN)
    with pytest.raises(ValueError, match="Pools/default, which has 2048 MiB"):
        plan(
            log_router=FireLens(options=OPTIONS, memory_mib=2048),
            services=dict.fromkeys(("ApiServer", "Scheduler", "DagProcessor", "Triggerer"), token),
        )


def test_ecs_tasks_and_stores_in_containers_have_no_log_router():
    """ECS tasks and stores may have less memory than the log router needs."""
    router = FireLens(options=OPTIONS, memory_mib=1000)
    small = EcsTask(name="etl", cpu=256, memory_mib=512)
    assert plan(executor="container-redis", log_router=router, ecs_tasks=(small,)).component("Broker").memory_mib == 512


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"options": {"region": "x"}}, "must have the name of an output plugin"),
        ({"options": {}}, "must have the name of an output plugin"),
        ({"options": {"Name": " "}}, "must have the name of an output plugin"),
        ({"options": {"Name": EcsSecret()}}, "must have the name of an output plugin"),
        ({"options": {"Name": "http", "Host": "a", "host": "b"}}, "FireLens options: host exists twice"),
        (
            {"options": {"Name": "http", "Header": "Authorization {{resolve:secretsmanager:s}}"}},
            "Header looks like a secret",
        ),
        ({"options": "firehose"}, "FireLens options must be a mapping"),
        ({"options": {**OPTIONS, "apikey": "123"}}, "apikey looks like a secret"),
        ({"options": {**OPTIONS, "time_key": 5}}, "time_key must be text or an ecs.Secret, got 5"),
        ({"options": OPTIONS, "permissions": ["firehose:*"]}, "FireLens permissions must be a Permission"),
        ({"options": OPTIONS, "image": "fluent-bit"}, "FireLens image must be a ContainerImage"),
        ({"options": OPTIONS, "memory_mib": 1}, "FireLens memory_mib .*6 or more"),
    ],
)
def test_invalid_arguments_of_firelens_are_rejected(arguments, words):
    """A log router that cannot work or would expose a secret raises an error."""
    with pytest.raises(ValueError, match=words):
        FireLens(**arguments)


def test_log_retention_is_30_days_or_another_value_of_cloudwatch():
    """30 days are the default."""
    assert [router.kept_days for router in (AwsLogs(), AwsLogs(retention_days=7), AwsLogs(retention_days=None))] == [
        30,
        7,
        None,
    ]
    assert FireLens(options=OPTIONS).kept_days == 30
    for days in (0, 31, True, "30"):
        with pytest.raises(ValueError, match="AwsLogs retention_days must be one of 1, 3, 5"):
            AwsLogs(retention_days=days)


def test_an_option_of_the_fluent_bit_plugin_may_be_a_secret():
    """The API key of a log service may be an ecs.Secret."""
    assert FireLens(options={"Name": "datadog", "apikey": EcsSecret()}).has_sidecar


def test_log_router_must_be_a_log_router_object():
    """log_router= must be a LogRouter object."""
    with pytest.raises(ValueError, match="log_router= must be a LogRouter such as AwsLogs"):
        plan(log_router="firelens")
    with pytest.raises(ValueError, match="log_router= must be a LogRouter such as AwsLogs"):
        plan(log_router=EcsExecutor())
