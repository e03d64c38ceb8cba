"""PostgreSQL and Redis in containers: settings, clients and rejected arguments."""

from __future__ import annotations

import re

import pytest
from plans import NUMBER_TOKEN, TEXT_TOKEN, VERSIONS, containers, option, plan, settings_of

from cdk_airflow_ecs import (
    AirflowVersion,
    CeleryExecutor,
    ContainerDatabase,
    EcsExecutor,
    RedisBroker,
    SeveralExecutors,
)
from cdk_airflow_ecs.plan import ClusterPlan, Edge, Permission, Ref, SecretRef
from cdk_airflow_ecs.testing import plan_of

REDIS = CeleryExecutor(broker=RedisBroker.container())
LINES = pytest.mark.parametrize("line", VERSIONS)


def cluster(line: str = "3.3", **arguments: object) -> ClusterPlan:
    """Plan a cluster with database and Redis in containers."""
    given = {"version": VERSIONS[line], "database": ContainerDatabase(), "executor": REDIS, **arguments}
    return plan_of(**given)


def clients(edges: tuple[Edge, ...], target: str) -> dict[str, int]:
    """Return the port of each component that connects to *target*."""
    return {edge.source: edge.port for edge in edges if edge.target == target}


def test_postgres_is_one_task_with_its_data_on_the_file_system():
    """PostgreSQL is one task with its data on an EFS file system."""
    component = cluster().component("Database")
    (container,) = component.containers
    assert (component.path, component.count, component.kind, component.spot) == ("Database", 1, "store", False)
    assert (component.cpu, component.memory_mib) == (256, 1024)
    assert component.image == "public.ecr.aws/docker/library/postgres:17"
    assert component.dns_name == "database"
    assert not component.enable_exec
    assert not component.runs_user_code
    assert container.environment == {
        "POSTGRES_DB": "airflow",
        "POSTGRES_USER": "airflow",
        "POSTGRES_PASSWORD": SecretRef("Database", "password"),
        "PGDATA": "/var/lib/airflow-metadata/pgdata",
    }
    assert container.mounts == {"postgres": "/var/lib/airflow-metadata"}
    assert container.user == "999:999"
    assert container.health_check.command[0] == "pg_isready"
    assert "--host=127.0.0.1" in container.health_check.command
    assert container.health_check.start_period_seconds == 300


def test_only_postgres_may_mount_its_folder_of_the_file_system():
    """PostgreSQL may mount only the access point, which exposes one folder of the file system."""
    plan = cluster()
    component = plan.component("Database")
    (volume,) = component.volumes
    assert (volume.file_system_id, volume.access_point_id) == (
        Ref("Database/Files", "id"),
        Ref("Database/Files", "access_point_id"),
    )
    assert component.permissions == (
        Permission(
            actions=("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"),
            resources=(Ref("Database/Files", "arn"),),
            conditions={"ArnEquals": {"elasticfilesystem:AccessPointArn": Ref("Database/Files", "access_point_arn")}},
        ),
    )
    assert {ref for ref in component.refs() if ref.of == "Database/Files"} >= {
        volume.file_system_id,
        volume.access_point_id,
    }
    assert [each.name for each in plan.components if each.volumes] == ["Database"]
    assert clients(plan.edges, "Database/Files") == {"Database": 2049}


@pytest.mark.parametrize(
    ("image", "user"),
    [
        ("public.ecr.aws/docker/library/postgres:14", "999:999"),
        ("postgres:13.23-bookworm", "999:999"),
        ("docker.io/library/postgres:18-alpine3.22", "70:70"),
        ("ghcr.io/acme/database:7", "999:999"),
        ("postgres@sha256:" + "0" * 64, "999:999"),
        (TEXT_TOKEN, "999:999"),
    ],
)
def test_container_and_access_point_have_the_user_id_of_the_image(image, user):
    """Different images of PostgreSQL use different user ids."""
    database = ContainerDatabase(image=image)
    (container,) = database.component().containers
    assert container.user == user
    assert "{}:{}".format(*database.parts()["Database/Files"].user) == user


@LINES
def test_clients_of_stores_in_containers_use_no_tls(line):
    """PGSSLMODE is "disable", and the Redis URL is plain."""
    for container in containers(cluster(line)).values():
        if "METADATA_HOST" in container.environment:
            assert container.environment["PGSSLMODE"] == "disable"
    worker = containers(cluster(line))["worker"]
    for name, database in (("broker_url_cmd", 0), ("result_backend_cmd", 1)):
        command = option(worker, "celery", name)
        assert "print('redis://:'+u.quote(e('BROKER_TOKEN',''),'')" in command
        assert f"+'/{database}',end='')" in command
        assert "ssl" not in command
        assert command.count('"') == 2
    theirs = containers(plan(line))["worker"]
    same = {"BROKER_URL_CMD", "RESULT_BACKEND_CMD"}
    names = {name for name in worker.environment if "CELERY" in name} - {f"AIRFLOW__CELERY__{each}" for each in same}
    assert {"AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__SOCKET_KEEPALIVE"} <= names
    assert {name: worker.environment[name] for name in names} == {name: theirs.environment[name] for name in names}


def test_redis_is_one_task_without_root_rights_or_disk():
    """Redis reads its password from standard input."""
    component = cluster().component("Broker")
    (container,) = component.containers
    assert (component.path, component.count, component.kind, component.spot) == ("Broker", 1, "store", False)
    assert (component.cpu, component.memory_mib, component.volumes) == (256, 512, ())
    assert component.image == "public.ecr.aws/docker/library/redis:7.2"
    assert component.dns_name == "broker"
    assert component.permissions == ()
    assert container.user == "999:999"
    assert container.environment == {"REDISCLI_AUTH": SecretRef("Broker", "token")}
    # The image's own entry point would start the server without a password.
    assert container.prefix == ("sh", "-c")
    first, *settings, last, rest = container.command[0].split("\n")
    assert (first, last, rest) == ("exec redis-server - <<END", "END", "")
    assert [line.partition(" ")[0] for line in settings] == [
        *("port", "requirepass", "save", "maxmemory-policy", "maxmemory"),
    ]
    assert {"maxmemory-policy noeviction", "maxmemory 384mb", 'save ""'} <= set(settings)
    assert "REDISCLI_AUTH" not in " ".join(container.health_check.command)


def test_the_memory_limit_of_redis_follows_the_task_size():
    """If the task size is a token, Redis has no memory limit."""
    large, unknown = (RedisBroker.container(memory_mib=mib).component() for mib in (2048, NUMBER_TOKEN))
    assert "maxmemory 1536mb\n" in large.containers[0].command[0]
    assert "maxmemory " not in unknown.containers[0].command[0]


@LINES
def test_only_components_that_use_a_store_connect_to_it(line):
    """Only components that use a store connect to it."""
    edges = cluster(line).edges
    web = "ApiServer" if line.startswith("3") else "Webserver"
    users = {web, "Scheduler", "DagProcessor", "Triggerer", "Migration"}
    users |= set() if line.startswith("3") else {"Pools/default"}
    assert clients(edges, "Database") == dict.fromkeys(users, 5432)
    assert clients(edges, "Broker") == {"Scheduler": 6379, "Pools/default": 6379}
    opened = {(edge.source, edge.target) for edge in edges if edge.source in ("Database", "Broker")}
    assert opened == {("Database", "Database/Files")}


@LINES
def test_stores_in_containers_add_only_the_edge_to_the_file_system(line):
    """All other edges are equal to those with RDS and ElastiCache."""
    ours, theirs = set(cluster(line).edges), set(plan(line).edges)
    assert ours - theirs == {Edge("Database", "Database/Files", 2049, "Files")}
    assert theirs - ours == set()


def test_stores_in_containers_are_the_first_components():
    """Other components refer to the stores."""
    assert [component.name for component in cluster().components][:2] == ["Database", "Broker"]


def test_stores_in_containers_run_during_maintenance():
    """During maintenance, the migration needs the database."""
    plan = cluster(maintenance=True)
    running = [component.name for component in plan.components if component.count]
    assert running == ["Database", "Broker"]


def test_enable_exec_of_the_cluster_applies_to_the_stores():
    """enable_exec= of the cluster applies to the stores."""
    for enabled, expected in ((True, True), (False, False), (None, False)):
        found = cluster(enable_exec=enabled)
        assert {found.component(name).enable_exec for name in ("Database", "Broker")} == {expected}


def test_stores_in_containers_do_not_run_on_spot():
    """Stores do not run on Spot, even if Airflow tasks do."""
    executor = SeveralExecutors([REDIS, EcsExecutor(spot=True)])
    assert [component.name for component in cluster(executor=executor).components if component.spot] == [
        "Tasks/executor"
    ]
    assert cluster(executor=executor).component("Broker").image.endswith("redis:7.2")


def test_each_store_in_a_container_gives_a_warning():
    """Each store in a container gives one warning that the store is for development only."""
    advice = settings_of(version=AirflowVersion.V3_3, database=ContainerDatabase(), executor=REDIS).advice
    assert [entry.id for entry in advice] == ["cdk-airflow-ecs:container-database", "cdk-airflow-ecs:container-broker"]
    for entry in advice:
        assert "for development" in entry.text
        assert re.search("unencrypted|TLS", entry.text)
    assert settings_of(version=AirflowVersion.V3_3).advice == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"image": "postgres"}, "image must include a release, such as \".*postgres:17\".*got 'postgres'"),
        ({"image": "postgres:latest"}, "image must include a release"),
        ({"image": "localhost:5000/postgres"}, "image must include a release"),
        ({"image": "postgres:12.4"}, "image must be PostgreSQL 13 to 18.*got 'postgres:12.4'"),
        ({"image": "public.ecr.aws/docker/library/postgres:19"}, "image must be PostgreSQL 13 to 18"),
        ({"image": "postgres:1 7"}, "got 'postgres:1 7': '1 7' is not a tag"),
        ({"image": ""}, "image .*text such as"),
        ({"image": 17}, "image .*text such as .*got 17"),
        (
            {"image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/postgres:17"},
            "image must be an image that requires no login.* is in a private registry",
        ),
        ({"cpu": 300}, "cpu=300 is not a Fargate size"),
        ({"memory_mib": 4096}, "memory_mib=4096 is not compatible with cpu=256"),
    ],
)
def test_invalid_arguments_of_container_database_are_rejected(arguments, words):
    """The error states the given value and the accepted values."""
    with pytest.raises(ValueError, match=f"^ContainerDatabase.*{words}"):
        ContainerDatabase(**arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"image": "redis"}, 'image must include a release, such as ".*redis:7.2"'),
        ({"image": None}, "image .*text such as"),
        ({"image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/redis:7"}, "private registry"),
        ({"cpu": "256"}, "cpu='256' is not a Fargate size"),
        ({"memory_mib": 100}, "memory_mib=100 is not compatible with cpu=256; Fargate accepts 512, 1024, 2048"),
    ],
)
def test_invalid_arguments_of_redis_in_a_container_are_rejected(arguments, words):
    """The error states the given value and the accepted values."""
    with pytest.raises(ValueError, match=re.escape("RedisBroker.container") + f".*{words}"):
        RedisBroker.container(**arguments)


def test_a_store_in_a_container_does_not_accept_count_or_spot():
    """A second task or an interruption would destroy data of the store."""
    for make in (ContainerDatabase, RedisBroker.container):
        for argument in ({"count": 2}, {"spot": True}):
            with pytest.raises(TypeError, match="unexpected keyword argument"):
                make(**argument)
