"""Where the output of containers goes, as the plan and the refusals say it."""

from __future__ import annotations

import pytest
from plans import NUMBER_TOKEN, EcsSecret, plan

from cdk_airflow_ecs import AwsLogs, EcsExecutor, FireLens, Permission, Service
from cdk_airflow_ecs.ecs_task import EcsTask

ARN = "arn:aws:firehose:eu-central-1:123456789012:deliverystream/airflow"
OPTIONS = {"Name": "firehose", "region": "eu-central-1", "delivery_stream": "airflow"}
PUT = Permission(actions=("firehose:PutRecordBatch",), resources=(ARN,))


def test_what_routes_logs_may_write_where_they_go():
    """Every service's task role gets what the plugin needs; the migration, which is not routed, does not."""
    routed = plan(log_router=FireLens(options=OPTIONS, permissions=[PUT]))
    for component in routed.components:
        assert (PUT in component.permissions) == (component.count is not None), component.name


def test_a_router_beside_tasks_of_the_ecs_executor_is_refused():
    """That executor takes the end of any container for the end of its task."""
    with pytest.raises(ValueError, match=r"log_router=FireLens.* cannot be used with executor=EcsExecutor.*AwsLogs"):
        plan("3.3", "ecs", log_router=FireLens(options=OPTIONS))


def test_a_router_that_would_take_all_the_memory():
    """Each service must have more memory than is kept for the router; the error names the first that has not."""
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


def test_what_is_not_routed_keeps_its_memory():
    """Tasks of the user's own and stores have no router, and may be smaller than it."""
    router = FireLens(options=OPTIONS, memory_mib=1000)
    small = EcsTask(name="etl", cpu=256, memory_mib=512)
    assert plan(executor="container-redis", log_router=router, ecs_tasks=(small,)).component("Broker").memory_mib == 512


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"options": {"region": "x"}}, "names no output plugin"),
        ({"options": {}}, "names no output plugin"),
        ({"options": {"Name": " "}}, "names no output plugin"),
        ({"options": {"Name": EcsSecret()}}, "names no output plugin"),
        ({"options": {"Name": "http", "Host": "a", "host": "b"}}, "FireLens options: host is there twice"),
        (
            {"options": {"Name": "http", "Header": "Authorization {{resolve:secretsmanager:s}}"}},
            "Header looks like a secret",
        ),
        ({"options": "firehose"}, "FireLens options is a mapping"),
        ({"options": {**OPTIONS, "apikey": "123"}}, "apikey looks like a secret"),
        ({"options": {**OPTIONS, "time_key": 5}}, "time_key is 5, neither text nor an ecs.Secret"),
        ({"options": OPTIONS, "permissions": ["firehose:*"]}, "FireLens permissions takes a Permission"),
        ({"options": OPTIONS, "image": "fluent-bit"}, "FireLens image takes a ContainerImage"),
        ({"options": OPTIONS, "memory_mib": 1}, "FireLens memory_mib is an integer, 6 or more"),
    ],
)
def test_what_firelens_refuses(arguments, words):
    """A router that could not work, or that would show a secret, is refused in words."""
    with pytest.raises(ValueError, match=words):
        FireLens(**arguments)


def test_how_long_output_is_kept():
    """A month, what the user says, or for ever; what CloudWatch would refuse is refused here."""
    assert [router.kept_days for router in (AwsLogs(), AwsLogs(retention_days=7), AwsLogs(retention_days=None))] == [
        30,
        7,
        None,
    ]
    assert FireLens(options=OPTIONS).kept_days == 30
    for days in (0, 31, True, "30"):
        with pytest.raises(ValueError, match="AwsLogs retention_days is one of 1, 3, 5"):
            AwsLogs(retention_days=days)


def test_a_secret_of_the_plugin_is_accepted_as_a_secret():
    """The API key of a log service comes from Secrets Manager or SSM."""
    assert FireLens(options={"Name": "datadog", "apikey": EcsSecret()}).has_sidecar


def test_only_what_it_is_may_be_the_log_router():
    """A class or a name is refused as any other argument."""
    with pytest.raises(ValueError, match="log_router= takes a LogRouter such as AwsLogs"):
        plan(log_router="firelens")
    with pytest.raises(ValueError, match="log_router= takes a LogRouter such as AwsLogs"):
        plan(log_router=EcsExecutor())
