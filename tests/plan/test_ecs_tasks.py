"""ECS tasks that the user defines with EcsTask."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plans import NUMBER_TOKEN, OWN_IMAGE, VERSIONS, EcsSecret, containers, plan

from cdk_airflow_ecs import EcsExecutor, LocalExecutor, SeveralExecutors
from cdk_airflow_ecs.ecs_task import EcsTask
from cdk_airflow_ecs.plan import Json, Permission, Ref, SecretRef
from cdk_airflow_ecs.testing import plan_of

ETL = EcsTask(name="etl")
VARIABLE = "AIRFLOW_VAR_ECS_ETL"
TASKS = (Ref("TaskCluster", "tasks_arn"),)
READS = Permission(actions=("logs:GetLogEvents",), resources=(Ref("Tasks/etl", "log_streams_arn"),))
FOLLOWS = Permission(actions=("ecs:DescribeTasks",), resources=TASKS)
RUNS = (
    Permission(
        actions=("ecs:RunTask",),
        resources=(Ref("Tasks/etl", "family_arn"),),
        conditions={"ArnEquals": {"ecs:cluster": Ref("TaskCluster", "arn")}},
    ),
    Permission(actions=("ecs:DescribeTasks", "ecs:StopTask"), resources=TASKS),
    Permission(
        actions=("ecs:TagResource",),
        resources=TASKS,
        conditions={"StringEquals": {"ecs:CreateAction": "RunTask"}},
    ),
    Permission(
        actions=("iam:PassRole",),
        resources=(Ref("Tasks/etl", "task_role_arn"), Ref("Tasks/etl", "execution_role_arn")),
        conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
    ),
    Permission(actions=("ecs:ListTasks",), resources=(Ref("TaskCluster", "instances_arn"),)),
    READS,
)


def with_tasks(*tasks, line="3.3", executor="celery", **arguments):
    """Plan a cluster with the given ECS tasks."""
    return plan(line, executor, ecs_tasks=tasks, **arguments)


@pytest.mark.parametrize("line", VERSIONS)
def test_by_default_an_ecs_task_has_no_permissions_or_airflow_settings(line):
    """An ECS task has no service, permissions or Airflow settings."""
    task = with_tasks(ETL, line=line).component("Tasks/etl")
    (container,) = task.containers
    assert (task.path, task.count, task.cpu, task.memory_mib) == ("Tasks/etl", None, 1024, 2048)
    assert (task.permissions, task.runs_user_code, task.enable_exec, task.spot) == ((), False, False, False)
    assert (container.name, container.prefix, container.command, container.entrypoint) == ("etl", (), (), ())
    # Without this variable, the entry point of the official image waits for a database.
    assert container.environment == {"CONNECTION_CHECK_MAX_COUNT": "0"}


def test_every_argument_of_an_ecs_task_is_in_its_component():
    """Every argument of an ECS task is in its component."""
    secret = EcsSecret()
    etl = EcsTask(
        name="etl",
        image=None,
        entrypoint=["sh", "-c"],
        command=(word for word in ("echo", "x")),
        cpu=4096,
        memory_mib=16384,
        ephemeral_storage_gib=100,
        spot=True,
        architecture="arm64",
        environment={"STAGE": "dev", "API_TOKEN": secret, "AIRFLOW__CORE__PARALLELISM": "3"},
    )
    task = with_tasks(etl).component("Tasks/etl")
    (container,) = task.containers
    assert (task.cpu, task.memory_mib, task.ephemeral_storage_gib) == (4096, 16384, 100)
    assert (task.spot, task.architecture) == (True, "arm64")
    assert (container.entrypoint, container.command) == (("sh", "-c"), ("echo", "x"))
    assert container.environment == {
        "CONNECTION_CHECK_MAX_COUNT": "0",
        "STAGE": "dev",
        "API_TOKEN": SecretRef("Given", "Tasks/etl/API_TOKEN"),
        "AIRFLOW__CORE__PARALLELISM": "3",
    }


def test_a_sensitive_airflow_option_in_plain_text_is_rejected():
    """A sensitive Airflow option in plain text raises an error."""
    for value in ("0123", 5):
        task = EcsTask(name="etl", environment={"AIRFLOW__CORE__FERNET_KEY": value})
        with pytest.raises(ValueError, match=r"\[core\] fernet_key is a secret, and would be readable"):
            with_tasks(task)
    assert with_tasks(EcsTask(name="etl", environment={"AIRFLOW__CORE__FERNET_KEY": EcsSecret()}))


def test_an_ecs_task_must_not_have_the_name_of_an_executor_task():
    """The names of a third-party executor's tasks are reserved."""

    class Batch(EcsExecutor):
        def plan(self, context):
            found = super().plan(context)
            process = replace(found.tasks[0].process, component="Tasks/batch")
            return replace(
                found, tasks=(replace(found.tasks[0], path="Tasks/batch", process=process),), loader_config={}
            )

    with pytest.raises(ValueError, match=r"ECS task 'Batch': the tasks of executor=Batch.* have that name"):
        plan_of(executor=Batch(), ecs_tasks=(EcsTask(name="Batch"),))


def test_the_default_processor_of_an_ecs_task_is_that_of_its_image():
    """architecture= of an ECS task overrides the image's processor."""
    image = OWN_IMAGE.registry("ghcr.io/acme/airflow:1", architecture="arm64")
    tasks = (ETL, EcsTask(name="other", architecture="x86_64"))
    found = with_tasks(*tasks, image=image)
    assert [found.component(f"Tasks/{task.name}").architecture for task in tasks] == ["arm64", "x86_64"]


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize("spot", [False, True])
def test_an_airflow_variable_holds_the_arguments_of_the_ecs_operator(line, spot):
    """The arguments of EcsRunTaskOperator differ by Airflow release."""
    worker = containers(with_tasks(EcsTask(name="etl", spot=spot), line=line))["worker"]
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    named = {} if line in ("2.8", "2.9", "2.10") else {"container_name": "etl"}
    assert worker.environment[VARIABLE] == Json(
        {
            "cluster": Ref("TaskCluster", "name"),
            "task_definition": Ref("Tasks/etl", "family"),
            **({"capacity_provider_strategy": strategy} if spot else {"launch_type": "FARGATE"}),
            "propagate_tags": "TASK_DEFINITION",
            "network_configuration": {
                "awsvpcConfiguration": {
                    "subnets": Ref("Network", "task_subnet_list"),
                    "securityGroups": [Ref("Tasks/etl", "security_group_id")],
                    "assignPublicIp": Ref("Network", "assign_public_ip_word"),
                }
            },
            **named,
            "awslogs_group": Ref("ContainerLogs", "name"),
            "awslogs_region": Ref("Stack", "region"),
            "awslogs_stream_prefix": "etl/etl",
        }
    )


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize(
    ("executor", "readers", "may_run"),
    [
        ("celery", {"dag-processor", "triggerer", "worker"}, {"Pools/default"}),
        ("local", {"dag-processor", "triggerer", "scheduler"}, {"Scheduler"}),
        ("ecs", {"dag-processor", "triggerer", "task"}, {"Tasks/executor"}),
    ],
)
def test_only_task_runners_may_start_an_ecs_task(line, executor, readers, may_run):
    """The Airflow variable about the ECS task is in all components that read DAG files."""
    found = with_tasks(ETL, line=line, executor=executor)
    assert {name for name, container in containers(found).items() if VARIABLE in container.environment} == readers
    before = plan(line, executor)
    more = {
        part.name: [p for p in part.permissions if p not in before.component(part.name).permissions]
        for part in found.components
        if part.name != "Tasks/etl"
    }
    assert {name for name, permissions in more.items() if permissions} == {*may_run, "Triggerer"}
    assert more["Triggerer"] == [FOLLOWS, READS]
    for name in may_run:
        assert more[name] == list(RUNS)


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize("executor", ["celery", "local", "ecs"])
def test_user_code_may_not_list_describe_or_stop_the_tasks_of_airflow(line, executor):
    """Descriptions of these tasks would show tokens in their commands."""
    found = with_tasks(ETL, line=line, executor=executor)
    actions = {"ecs:ListTasks", "ecs:DescribeTasks", "ecs:StopTask", "ecs:RunTask"}
    authors = [part for part in found.components if part.runs_user_code]
    reached = {
        ref.of
        for part in authors
        for permission in part.permissions
        if actions & {*permission.actions}
        for ref in permission.resources
        if ref.attribute in ("tasks_arn", "instances_arn")
    }
    assert reached == {"TaskCluster"}
    assert {part.name for part in found.components if part.ecs_cluster == "TaskCluster"} == {"Tasks/etl"}


def test_each_ecs_task_has_its_own_airflow_variable_and_permission():
    """Each ECS task has its own Airflow variable and permission."""
    found = with_tasks(ETL, EcsTask(name="Nightly-report"))
    worker = found.component("Pools/default")
    variables = [name for name in worker.containers[0].environment if name.startswith("AIRFLOW_VAR_")]
    assert variables == [VARIABLE, "AIRFLOW_VAR_ECS_NIGHTLY_REPORT"]
    resources = [p.resources for p in worker.permissions if p.actions == ("ecs:RunTask",)]
    assert resources == [(Ref(f"Tasks/{name}", "family_arn"),) for name in ("etl", "Nightly-report")]
    assert [p.actions for p in worker.permissions].count(("ecs:DescribeTasks", "ecs:StopTask")) == 1


@pytest.mark.parametrize("line", VERSIONS)
def test_an_ecs_task_adds_no_edge_to_the_plan(line):
    """An ECS task adds no edge, whatever its variables are."""
    task = EcsTask(name="etl", environment={"METADATA_HOST": "db.example.com", "BROKER_HOST": "redis.example.com"})
    assert with_tasks(task, line=line).edges == plan(line).edges


@pytest.mark.parametrize("line", VERSIONS)
def test_an_ecs_task_gives_other_components_only_a_variable_and_permissions(line):
    """Other components change only by the Airflow variable and the permissions."""
    found, before = with_tasks(ETL, line=line), plan(line)
    same = ("ApiServer", "Webserver", "Scheduler", "Migration")
    assert [part for part in found.components if part.name in same] == [
        part for part in before.components if part.name in same
    ]
    for part in before.components:
        after = found.component(part.name)
        for old, new in zip(part.containers, after.containers, strict=True):
            assert list(new.environment.items())[: len(old.environment)] == list(old.environment.items())
        assert after.permissions[: len(part.permissions)] == part.permissions


def test_with_several_executors_all_task_runners_may_start_an_ecs_task():
    """With SeveralExecutors, both Celery workers and executor tasks may start an ECS task."""
    found = plan(executor="several", ecs_tasks=(ETL,))
    assert [part.name for part in found.components if not part.has_service] == [
        *("Tasks/etl", "Tasks/executor", "Migration")
    ]
    starts = {part.name for part in found.components if RUNS[0] in part.permissions}
    assert starts == {"Pools/default", "Tasks/executor"}
    assert found.component("Tasks/executor").spot is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "1st"}, "an ECS task's name .*32 letters, digits and hyphens, .*got '1st'"),
        ({"name": "a_b"}, "an ECS task's name must have at most 32 letters"),
        ({"name": "a" * 33}, "at most 32"),
        ({"name": None}, "an ECS task's name must have at most 32 letters, .* got None"),
        ({"name": "Executor"}, "'Executor': EcsExecutor uses"),
        ({"cpu": 3}, "ECS task 'etl': cpu=3"),
        ({"cpu": 1024, "memory_mib": 512}, "ECS task 'etl': memory_mib=512 is not compatible with cpu=1024"),
        ({"ephemeral_storage_gib": 20}, "ephemeral_storage_gib"),
        ({"spot": "yes"}, "ECS task 'etl': spot must be True or False, got 'yes'"),
        ({"architecture": "arm"}, "ECS task 'etl': architecture must be \"x86_64\" or \"arm64\", got 'arm'"),
        ({"entrypoint": "sh"}, "ECS task 'etl': entrypoint"),
        ({"command": [1]}, "ECS task 'etl': command must be a list of strings"),
        ({"image": 3}, "ECS task 'etl': image"),
        ({"image": "ghcr.io/Acme/etl:1"}, "'Acme' is not in lower case"),
        ({"task_role": "arn:aws:iam::123456789012:role/etl"}, "ECS task 'etl': task_role"),
    ],
)
def test_invalid_arguments_of_an_ecs_task_are_rejected(arguments, message):
    """The error states the given value and the accepted values."""
    with pytest.raises(ValueError, match=message):
        EcsTask(**{"name": "etl", **arguments})


@pytest.mark.parametrize(
    ("tasks", "arguments", "message"),
    [
        ((ETL, EcsTask(name="Etl")), {}, "two ECS tasks .* variable, 'ecs_etl'"),
        ((EcsTask(name="etl", environment={"A_TOKEN": "x"}),), {}, "Tasks/etl: A_TOKEN looks like a secret"),
        ((EcsTask(name="etl", environment={"A-B": "x"}),), {}, "Tasks/etl: 'A-B' is not a valid"),
        ((ETL,), {"environment": {VARIABLE: "{}"}}, f"environment= sets {VARIABLE} in .* which this cluster sets"),
    ],
)
def test_an_ecs_task_that_conflicts_with_the_cluster_is_rejected(tasks, arguments, message):
    """Planning the cluster raises the error, not creating the EcsTask."""
    with pytest.raises(ValueError, match=message):
        with_tasks(*tasks, **arguments)


def test_cpu_and_memory_of_an_ecs_task_may_be_tokens():
    """cpu= and memory_mib= of an ECS task may be tokens."""
    task = EcsTask(name="etl", cpu=NUMBER_TOKEN, memory_mib=NUMBER_TOKEN)
    assert with_tasks(task).component("Tasks/etl").cpu == NUMBER_TOKEN


@pytest.mark.parametrize("executor", [EcsExecutor(), SeveralExecutors([LocalExecutor(), EcsExecutor()])])
def test_no_component_has_the_same_permission_twice(executor):
    """Executor tasks and ECS tasks need some equal permissions."""
    for part in plan_of(executor=executor, ecs_tasks=(ETL,)).components:
        assert len(part.permissions) == len({str(permission) for permission in part.permissions})
