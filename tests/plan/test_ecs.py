"""EcsExecutor: its tasks, and the options and permissions of the scheduler."""

from __future__ import annotations

import json
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
PROPAGATED = {"propagate_tags": "TASK_DEFINITION"}


def options(container):
    """Return the options of the ECS executor in a container, by name."""
    return {
        name.removeprefix(SECTION).lower(): value
        for name, value in container.environment.items()
        if name.startswith(SECTION)
    }


@pytest.mark.parametrize("line", VERSIONS)
def test_executor_tasks_have_one_container_and_no_service(line):
    """The executor would mistake a second container's end for the task's end."""
    found = plan(line, "ecs")
    task = found.component("Tasks/executor")
    (container,) = task.containers
    assert (task.path, task.count, task.cpu, task.memory_mib) == ("Tasks/executor", None, 1024, 2048)
    assert (container.name, container.port, container.health_check) == ("task", None, None)
    assert task not in services(found)
    assert not task.enable_exec
    assert task.permissions
    assert not [part for part in found.components if part.path.startswith("Pools/")]


def test_executor_tasks_are_the_first_component_of_the_plan():
    """Other components refer to executor tasks."""
    assert plan(executor="ecs").components[0].name == "Tasks/executor"


@pytest.mark.parametrize("line", VERSIONS)
def test_the_scheduler_has_all_options_of_the_ecs_executor(line):
    """Among these options, only launch_type sets the capacity."""
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
        "run_task_kwargs": Json(PROPAGATED),
    }


def test_spot_of_ecs_executor_sets_a_capacity_provider_strategy():
    """spot=True sets a capacity provider strategy."""
    spot = options(containers(plan_of(executor=EcsExecutor(spot=True)))["scheduler"])
    strategy = {"capacity_provider_strategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
    assert spot["run_task_kwargs"] == Json(PROPAGATED | strategy)
    assert not {"launch_type", "capacity_provider_strategy"} & set(spot)
    offers = [
        plan_of(executor=EcsExecutor(spot=given)).component("Tasks/executor").capacity.providers
        for given in (True, False)
    ]
    assert offers == [("FARGATE_SPOT",), ()]


@pytest.mark.parametrize("release", ["2.8.0", "2.8.1"])
def test_executor_tasks_on_spot_require_airflow_2_8_2(release):
    """Older amazon providers always send a launch type."""
    version = AirflowVersion.of(release)
    with pytest.raises(
        ValueError, match=re.escape(f"EcsExecutor(spot=True) requires Airflow 2.8.2 or newer, got {release}")
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
def test_run_task_kwargs_must_not_set_what_other_options_set(executor, kwargs, words):
    """run_task_kwargs must not set what the executor sets with other options."""
    with pytest.raises(ValueError, match=rf"\[aws_ecs_executor\] {words}"):
        plan_of(executor=executor, config={"aws_ecs_executor": {"run_task_kwargs": kwargs}})


LONG = {"overrides": {"containerOverrides": [{"environment": [{"name": "A", "value": "x" * 9_000}]}]}}


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"foo": 1, "group": "g"}, "has foo, .* Use .*group, overrides"),
        ({"enable_ecs_managed_tags": True}, "has enable_ecs_managed_tags, .* Use enableECSManagedTags"),
        ({"count": 2}, "has count"),
        *(
            ({"tags": tags}, "tags must be a list such as")
            for tags in ("x", {"team": "data"}, [{"team": "data"}], ["x"])
        ),
        ({"tags": [{"key": "team", "value": 1}]}, "tags must be a list such as"),
        ({"overrides": []}, "overrides must be a JSON object"),
        (LONG, "overrides must have at most 8,192 characters .* got 9,0.* Pass variables with EcsExecutor"),
    ],
)
def test_run_task_kwargs_that_run_task_rejects_are_refused(kwargs, words):
    """Otherwise each task would fail at its start."""
    with pytest.raises(ValueError, match=rf"\[aws_ecs_executor\] run_task_kwargs by config=:? {words}"):
        plan_of(executor=EcsExecutor(), config={"aws_ecs_executor": {"run_task_kwargs": json.dumps(kwargs)}})


def test_valid_run_task_kwargs_are_accepted_in_both_spellings():
    """The amazon provider changes snake_case to camelCase."""
    tags = [{"key": "team", "value": TEXT_TOKEN}, {"key": "empty"}]
    overrides = {"container_overrides": [{"environment": [{"name": "A", "value": TEXT_TOKEN + "x" * 7_000}]}]}
    for kwargs in (
        {"enable_execute_command": True, "tags": tags},
        {"enableECSManagedTags": True},
        {"overrides": overrides},
    ):
        assert plan_of(executor=EcsExecutor(), config={"aws_ecs_executor": {"run_task_kwargs": json.dumps(kwargs)}})


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ("{}", PROPAGATED),
        ('{"group": "g", "overrides": {"cpu": "512"}}', {**PROPAGATED, "group": "g", "overrides": {"cpu": "512"}}),
        (f'{{"group": "{TEXT_TOKEN}"}}', {**PROPAGATED, "group": TEXT_TOKEN}),
        ('{"propagateTags": "NONE"}', {"propagateTags": "NONE"}),
    ],
)
@pytest.mark.parametrize("executor", [EcsExecutor(), SeveralExecutors([LocalExecutor(), EcsExecutor()])])
def test_run_task_receives_the_users_arguments_and_tags(executor, kwargs, expected):
    """RunTask receives run_task_kwargs of the user, and the tags of the task definition."""
    found = containers(plan_of(executor=executor, config={"aws_ecs_executor": {"run_task_kwargs": kwargs}}))
    assert options(found["scheduler"])["run_task_kwargs"] == Json(expected)
    assert plan(executor="local", config={"aws_ecs_executor": {"run_task_kwargs": '{"cluster": "theirs"}'}})


def test_spot_adds_the_capacity_provider_to_run_task_kwargs():
    """The capacity provider is added to the user's run_task_kwargs, unless their text is a token."""
    spot = EcsExecutor(spot=True)
    found = plan_of(executor=spot, config={"aws_ecs_executor": {"run_task_kwargs": '{"group": "g"}'}})
    strategy = {"capacity_provider_strategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
    assert options(containers(found)["scheduler"])["run_task_kwargs"] == Json({**PROPAGATED, **strategy, "group": "g"})
    with pytest.raises(ValueError, match="only at deploy time"):
        plan_of(executor=spot, config={"aws_ecs_executor": {"run_task_kwargs": TEXT_TOKEN}})


def test_a_token_as_run_task_kwargs_reaches_the_executor_unchanged():
    """Nothing can be added to a token."""
    found = plan(executor="ecs", config={"aws_ecs_executor": {"run_task_kwargs": TEXT_TOKEN}})
    assert options(containers(found)["scheduler"])["run_task_kwargs"] == TEXT_TOKEN


@pytest.mark.parametrize("line", VERSIONS)
def test_only_scheduler_and_web_component_have_the_ecs_executor_options(line):
    """Other components do not load the ECS executor."""
    found = containers(plan(line, "ecs"))
    web = "api-server" if line[0] == "3" else "webserver"
    assert {name for name, container in found.items() if options(container)} == {"scheduler", web}
    assert options(found[web]) == options(found["scheduler"])


@pytest.mark.parametrize("line", VERSIONS)
def test_the_scheduler_may_run_and_stop_only_executor_tasks(line):
    """The scheduler may stop only tasks of its ECS cluster, and pass only two roles."""
    found = plan(line, "ecs")
    assert found.component("Scheduler").permissions == (
        Permission(
            actions=("ecs:RunTask",),
            resources=(Ref("Tasks/executor", "family_arn"),),
            conditions={"ArnEquals": {"ecs:cluster": Ref("Cluster", "arn")}},
        ),
        Permission(actions=("ecs:DescribeTasks", "ecs:StopTask"), resources=(Ref("Cluster", "tasks_arn"),)),
        Permission(
            actions=("ecs:TagResource",),
            resources=(Ref("Cluster", "tasks_arn"),),
            conditions={"StringEquals": {"ecs:CreateAction": "RunTask"}},
        ),
        Permission(
            actions=("iam:PassRole",),
            resources=(Ref("Tasks/executor", "task_role_arn"), Ref("Tasks/executor", "execution_role_arn")),
            conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        ),
    )
    others = [part for part in found.components if part.name != "Scheduler"]
    assert not [a for part in others for p in part.permissions for a in p.actions if not a.startswith("s3:")]


@pytest.mark.parametrize("line", VERSIONS)
def test_the_dag_loader_precedes_the_command_of_executor_tasks(line):
    """The executor replaces the command, but not the program that loads DAG files."""
    (task,) = plan(line, "ecs").component("Tasks/executor").containers
    (worker,) = plan(line).component("Pools/default").containers
    assert ("airflow_ecs_bundle" if line[0] == "3" else Ref("Dags", "uri")) in task.prefix
    assert worker.prefix == task.prefix
    assert task.command == ("airflow", "version")
    (plain,) = plan(line, "ecs", dags=ImageDags(), image=OWN_IMAGE).component("Tasks/executor").containers
    assert plain.prefix == ()


def test_arguments_of_ecs_executor_reach_task_definition_and_options():
    """Each argument of EcsExecutor changes the task definition or an option of the scheduler."""
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
def test_maintenance_and_enable_exec_do_not_change_executor_tasks(arguments):
    """maintenance= and enable_exec= do not change executor tasks."""
    task = plan(executor="ecs", **arguments).component("Tasks/executor")
    assert task == plan(executor="ecs").component("Tasks/executor")


@pytest.mark.parametrize("executor", [EcsExecutor(), SeveralExecutors([LocalExecutor(), EcsExecutor()])])
def test_the_ecs_executor_requires_remote_logs(executor):
    """Local logs would be lost with the task's disk."""
    with pytest.raises(ValueError, match=r"logs=LocalLogs\(\) cannot be used .* logs=S3Logs\(\)"):
        plan_of(executor=executor, logs=LocalLogs())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"cpu": 1000}, "EcsExecutor: cpu=1000 is not a Fargate size"),
        ({"memory_mib": 512}, "EcsExecutor: memory_mib=512 is not compatible with cpu=1024"),
        ({"ephemeral_storage_gib": 20}, "ephemeral_storage_gib=20; Fargate accepts 21 to 200"),
        ({"spot": "yes"}, "EcsExecutor: spot must be True or False, got 'yes'"),
        ({"spot": None}, "EcsExecutor: spot must be True or False, got None"),
        ({"max_run_task_attempts": 0}, "EcsExecutor max_run_task_attempts must be an integer (1 or more), got 0"),
        ({"alias": "my ecs"}, "EcsExecutor alias must have at most 32 letters, digits, underscores and hyphens"),
        ({"alias": "CeleryExecutor"}, "EcsExecutor alias 'CeleryExecutor' is the name of one of Airflow's executors"),
        ({"alias": "KubernetesExecutor"}, "EcsExecutor alias 'KubernetesExecutor' is the name of one of"),
        ({"alias": None}, "hyphens, the first a letter, got None"),
    ],
)
def test_invalid_arguments_of_the_ecs_executor_are_rejected(arguments, words):
    """The error states the given value and the accepted values."""
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
def test_environment_variables_of_executor_tasks_are_checked(environment, words):
    """Environment variables of executor tasks are checked like those of services."""
    with pytest.raises(ValueError, match=re.escape(words)):
        plan_of(executor=EcsExecutor(environment=environment))


def test_executor_task_size_and_max_attempts_may_be_tokens():
    """cpu, memory_mib and max_run_task_attempts of EcsExecutor may be CloudFormation parameters."""
    number = NUMBER_TOKEN
    found = plan_of(executor=EcsExecutor(cpu=number, memory_mib=number, max_run_task_attempts=number))
    task = found.component("Tasks/executor")
    assert (task.cpu, task.memory_mib) == (number, number)
    assert options(containers(found)["scheduler"])["max_run_task_attempts"] == str(number)


def test_the_user_may_add_ecs_executor_options_but_not_change_existing_ones():
    """Options of [aws_ecs_executor] that the cluster does not set may be added."""
    kwargs = {"assign_unknown": "1"}
    found = containers(plan(executor="ecs", config={"aws_ecs_executor": kwargs}))
    assert options(found["scheduler"])["assign_unknown"] == "1"
    with pytest.raises(ValueError, match=r"\[aws_ecs_executor\] cluster is given twice"):
        plan(executor="ecs", config={"aws_ecs_executor": {"cluster": "other"}})


@pytest.mark.parametrize(
    ("spot", "name", "value"),
    [(False, "capacity_provider_strategy", "FARGATE_SPOT"), (True, "launch_type", "FARGATE")],
)
def test_only_one_ecs_executor_option_may_set_the_capacity(spot, name, value):
    """The amazon provider rejects two options that set the capacity."""
    with pytest.raises(ValueError, match=rf"\[aws_ecs_executor\] {name} is given twice.*whose executor sets where"):
        plan_of(executor=EcsExecutor(spot=spot), config={"aws_ecs_executor": {name: value}})
    # Without EcsExecutor, these options are accepted, because a third-party executor may read them.
    assert plan(executor="local", config={"aws_ecs_executor": {name: value}})
