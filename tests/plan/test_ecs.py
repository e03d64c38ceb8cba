"""EcsExecutor: tasks that the scheduler starts, and what it needs for that."""

from __future__ import annotations

import re

import pytest
from plans import NUMBER_TOKEN, OWN_IMAGE, TEXT_TOKEN, VERSIONS, EcsSecret, containers, option, plan, services

from cdk_airflow_ecs import (
    AirflowVersion,
    EcsExecutor,
    ImageDags,
    LocalExecutor,
    LocalLogs,
    SeveralExecutors,
)
from cdk_airflow_ecs.plan import Json, Permission, Ref, SecretRef
from cdk_airflow_ecs.testing import plan_of

SECTION = "AIRFLOW__AWS_ECS_EXECUTOR__"


def options(container):
    """The executor's options in a container, by name."""
    return {
        name.removeprefix(SECTION).lower(): value
        for name, value in container.environment.items()
        if name.startswith(SECTION)
    }


@pytest.mark.parametrize("line", VERSIONS)
def test_tasks_have_one_container_and_no_service(line):
    """The executor takes a second container that ends badly, or never starts, for the task itself."""
    found = plan(line, "ecs")
    task = found.component("Tasks/executor")
    (container,) = task.containers
    assert (task.path, task.count, task.cpu, task.memory_mib) == ("Tasks/executor", None, 1024, 2048)
    assert (container.name, container.port, container.health_check) == ("task", None, None)
    assert task not in services(found)
    assert not task.enable_exec
    assert task.permissions
    assert not [part for part in found.components if part.path.startswith("Pools/")]


def test_tasks_come_first():
    """Other components refer to the tasks, so they stand before them."""
    assert plan(executor="ecs").components[0].name == "Tasks/executor"


@pytest.mark.parametrize("line", VERSIONS)
def test_what_the_scheduler_is_told(line):
    """Everything that RunTask needs; the task role instead of a connection, and one way to say the capacity."""
    assert options(containers(plan(line, "ecs"))["scheduler"]) == {
        "conn_id": "",
        "region_name": Ref("Stack", "region"),
        "cluster": Ref("Cluster", "name"),
        "container_name": "task",
        "task_definition": Ref("Tasks/executor", "task_definition_arn"),
        "platform_version": "LATEST",
        "launch_type": "FARGATE",
        "subnets": Ref("Network", "task_subnets"),
        "security_groups": Ref("Tasks/executor", "security_group_id"),
        "assign_public_ip": Ref("Network", "assign_public_ip"),
        "max_run_task_attempts": "5",
        "check_health_on_startup": "True",
    }


def test_spot():
    """Spot is a strategy of its own in the one option that takes it, and the cluster must offer it."""
    spot = options(containers(plan_of(executor=EcsExecutor(spot=True)))["scheduler"])
    strategy = {"capacity_provider_strategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
    assert spot["run_task_kwargs"] == Json(strategy)
    assert not {"launch_type", "capacity_provider_strategy"} & set(spot)
    offers = [
        plan_of(executor=EcsExecutor(spot=given)).component("Tasks/executor").capacity.providers
        for given in (True, False)
    ]
    assert offers == [("FARGATE_SPOT",), ()]


@pytest.mark.parametrize("release", ["2.8.0", "2.8.1"])
def test_releases_without_spot(release):
    """Their provider would always ask for the launch type FARGATE as well, and RunTask takes one of the two."""
    version = AirflowVersion.of(release)
    with pytest.raises(
        ValueError, match=re.escape(f"EcsExecutor(spot=True) needs Airflow 2.8.2 or newer, got {release}")
    ):
        plan_of(version=version, executor=EcsExecutor(spot=True))
    assert plan_of(version=version, executor=EcsExecutor())
    assert plan_of(version=AirflowVersion.of("2.8.2"), executor=EcsExecutor(spot=True))


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ('{"capacity_provider_strategy": []}', "run_task_kwargs by config= sets capacity_provider_strategy"),
        ('{"capacityProviderStrategy": []}', "run_task_kwargs by config= sets capacityProviderStrategy"),
        ('{"launch_type": "EC2", "group": "g"}', "run_task_kwargs by config= sets launch_type"),
        ('{"cluster": "other", "taskDefinition": "t"}', "run_task_kwargs by config= sets cluster, taskDefinition"),
        ('{"networkConfiguration": {}}', "run_task_kwargs by config= sets networkConfiguration"),
    ],
)
@pytest.mark.parametrize("executor", [EcsExecutor(), SeveralExecutors([LocalExecutor(), EcsExecutor()])])
def test_what_tasks_cannot_be_started_with(executor, kwargs, words):
    """What the executor says by an option of its own would be told twice: the scheduler, or RunTask, would refuse."""
    with pytest.raises(ValueError, match=rf"\[aws_ecs_executor\] {words}"):
        plan_of(executor=executor, config={"aws_ecs_executor": {"run_task_kwargs": kwargs}})


@pytest.mark.parametrize(
    "kwargs", ['{"group": "g", "overrides": {"cpu": "512"}}', TEXT_TOKEN, f'{{"group": "{TEXT_TOKEN}"}}']
)
def test_what_tasks_can_be_started_with(kwargs):
    """What else RunTask takes is the user's to say, and what only the deploy knows is let pass."""
    found = containers(plan(executor="ecs", config={"aws_ecs_executor": {"run_task_kwargs": kwargs}}))
    assert options(found["scheduler"])["run_task_kwargs"] == kwargs
    assert plan(executor="local", config={"aws_ecs_executor": {"run_task_kwargs": '{"cluster": "theirs"}'}})


@pytest.mark.parametrize("line", VERSIONS)
def test_who_loads_the_executor(line):
    """Scheduler and web component make an object of it; no other container gets its options."""
    found = containers(plan(line, "ecs"))
    web = "api-server" if line[0] == "3" else "webserver"
    assert {name for name, container in found.items() if options(container)} == {"scheduler", web}
    assert options(found[web]) == options(found["scheduler"])


@pytest.mark.parametrize("line", VERSIONS)
def test_what_the_scheduler_may(line):
    """Start tasks of this definition in this cluster, watch and stop those of the cluster, hand over two roles."""
    found = plan(line, "ecs")
    assert found.component("Scheduler").permissions == (
        Permission(
            actions=("ecs:RunTask",),
            resources=(Ref("Tasks/executor", "family_arn"),),
            conditions={"ArnEquals": {"ecs:cluster": Ref("Cluster", "arn")}},
        ),
        Permission(actions=("ecs:DescribeTasks", "ecs:StopTask"), resources=(Ref("Cluster", "tasks_arn"),)),
        Permission(
            actions=("iam:PassRole",),
            resources=(Ref("Tasks/executor", "task_role_arn"), Ref("Tasks/executor", "execution_role_arn")),
            conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        ),
    )
    others = [part for part in found.components if part.name != "Scheduler"]
    assert not [a for part in others for p in part.permissions for a in p.actions if not a.startswith("s3:")]


@pytest.mark.parametrize("line", VERSIONS)
def test_the_way_to_the_dags_survives_the_override(line):
    """What fetches DAG files stands before the command, which the executor replaces."""
    (task,) = plan(line, "ecs").component("Tasks/executor").containers
    (worker,) = plan(line).component("Pools/default").containers
    assert ("airflow_ecs_bundle" if line[0] == "3" else Ref("Dags", "uri")) in task.prefix
    assert worker.prefix == task.prefix
    assert task.command == ("airflow", "version")
    (plain,) = plan(line, "ecs", dags=ImageDags(), image=OWN_IMAGE).component("Tasks/executor").containers
    assert plain.prefix == ()


def test_every_argument_lands():
    """Size, disk, variables and attempts reach the tasks and their options."""
    executor = EcsExecutor(
        cpu=4096,
        memory_mib=16384,
        ephemeral_storage_gib=100,
        environment={"STAGE": "dev", "TOKEN": EcsSecret(), "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "60"},
        max_run_task_attempts=2,
    )
    found = plan_of(executor=executor)
    task = found.component("Tasks/executor")
    assert (task.cpu, task.memory_mib, task.ephemeral_storage_gib) == (4096, 16384, 100)
    (container,) = task.containers
    assert container.environment["STAGE"] == "dev"
    assert isinstance(container.environment["TOKEN"], SecretRef)
    assert option(container, "core", "dagbag_import_timeout") == "60"
    assert options(containers(found)["scheduler"])["max_run_task_attempts"] == "2"
    assert "STAGE" not in containers(found)["scheduler"].environment


@pytest.mark.parametrize("arguments", [{"maintenance": True}, {"enable_exec": True}])
def test_what_is_said_of_services_is_not_said_of_tasks(arguments):
    """Tasks have no number that maintenance could lower, and RunTask opens no shell."""
    task = plan(executor="ecs", **arguments).component("Tasks/executor")
    assert task == plan(executor="ecs").component("Tasks/executor")


@pytest.mark.parametrize("executor", [EcsExecutor(), SeveralExecutors([LocalExecutor(), EcsExecutor()])])
def test_logs_must_be_remote(executor):
    """A task's disk is gone with it, so logs on it would be."""
    with pytest.raises(ValueError, match=r"logs=LocalLogs\(\) cannot be used .* use logs=S3Logs\(\)"):
        plan_of(executor=executor, logs=LocalLogs())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"cpu": 1000}, "EcsExecutor: cpu=1000 is no Fargate size"),
        ({"memory_mib": 512}, "EcsExecutor: memory_mib=512 does not go with cpu=1024"),
        ({"ephemeral_storage_gib": 20}, "ephemeral_storage_gib=20; Fargate accepts 21 to 200"),
        ({"spot": "yes"}, "EcsExecutor spot is True or False, got 'yes'"),
        ({"spot": None}, "EcsExecutor spot is True or False, got None"),
        ({"max_run_task_attempts": 0}, "EcsExecutor max_run_task_attempts is an integer, 1 or more; got 0"),
        ({"alias": "my ecs"}, "EcsExecutor alias is a letter, then letters, digits, underscores and hyphens"),
        ({"alias": "CeleryExecutor"}, "EcsExecutor alias 'CeleryExecutor' is the name of an executor of Airflow's own"),
        ({"alias": "KubernetesExecutor"}, "EcsExecutor alias 'KubernetesExecutor' is the name of an executor of"),
        ({"alias": None}, "hyphens, at most 32; got None"),
    ],
)
def test_what_is_refused(arguments, words):
    """Each refusal names the argument, what it got and what it takes."""
    with pytest.raises(ValueError, match=re.escape(words)):
        EcsExecutor(**arguments)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"API_TOKEN": "x"}, "Tasks/executor: API_TOKEN looks like a secret"),
        ({"AIRFLOW__CORE__EXECUTOR": "LocalExecutor"}, "[core] executor is given twice"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "environment of Tasks/executor sets AWS_DEFAULT_REGION in task"),
    ],
)
def test_variables_of_tasks_are_checked(environment, words):
    """What a task may not be told is refused as it is for services."""
    with pytest.raises(ValueError, match=re.escape(words)):
        plan_of(executor=EcsExecutor(environment=environment))


def test_numbers_that_only_the_deploy_knows():
    """A CloudFormation parameter can be the size of the tasks, and how often they are started."""
    number = NUMBER_TOKEN
    found = plan_of(executor=EcsExecutor(cpu=number, memory_mib=number, max_run_task_attempts=number))
    task = found.component("Tasks/executor")
    assert (task.cpu, task.memory_mib) == (number, number)
    assert options(containers(found)["scheduler"])["max_run_task_attempts"] == str(number)


def test_a_users_option_of_the_executor():
    """An option that the executor leaves alone can be added, and one that it sets cannot be changed."""
    kwargs = {"run_task_kwargs": "{}"}
    found = containers(plan(executor="ecs", config={"aws_ecs_executor": kwargs}))
    assert options(found["scheduler"])["run_task_kwargs"] == "{}"
    with pytest.raises(ValueError, match=r"\[aws_ecs_executor\] cluster is given twice"):
        plan(executor="ecs", config={"aws_ecs_executor": {"cluster": "other"}})


@pytest.mark.parametrize(
    ("spot", "name", "value"),
    [(False, "capacity_provider_strategy", "FARGATE_SPOT"), (True, "launch_type", "FARGATE")],
)
def test_one_way_to_say_the_capacity(spot, name, value):
    """Of two, the provider takes none: the scheduler would not start. The error says that the executor says it."""
    with pytest.raises(ValueError, match=rf"\[aws_ecs_executor\] {name} is given twice.*whose executor says where"):
        plan_of(executor=EcsExecutor(spot=spot), config={"aws_ecs_executor": {name: value}})
    # Another's executor may live from these options alone.
    assert plan(executor="local", config={"aws_ecs_executor": {name: value}})
