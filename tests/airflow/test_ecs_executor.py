"""The ECS executor reads its generated options, and botocore validates the executor's RunTask calls."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from containers import REPOSITORY, Machine

from cdk_airflow_ecs import (
    AirflowVersion,
    CeleryExecutor,
    Ec2Capacity,
    EcsExecutor,
    ExecutorContext,
    ManagedInstances,
    SeveralExecutors,
)
from cdk_airflow_ecs.testing import plan_of

pytestmark = pytest.mark.airflow

RELEASES = ["3.3.2", "2.11.2"]
ECS = "airflow.providers.amazon.aws.executors.ecs.ecs_executor.AwsEcsExecutor"
CELERY = "airflow.providers.celery.executors.celery_executor.CeleryExecutor"
DEFINITION = "arn:aws:ecs:eu-central-1:123456789012:task-definition/task:7"
ATTRIBUTES = {
    ("Stack", "region"): "eu-central-1",
    ("Cluster", "name"): "data-cluster",
    ("Network", "task_subnets"): "subnet-1,subnet-2",
    ("Network", "assign_public_ip"): "False",
    ("Tasks/executor", "task_definition_arn"): DEFINITION,
    ("Tasks/executor", "security_group_id"): "sg-1",
    ("Database", "host"): "db.example.com",
    ("Database", "port"): "5432",
    ("Database", "name"): "airflow",
    ("Broker", "host"): "redis.example.com",
    ("Broker", "port"): "6379",
    ("Web", "url"): "http://airflow.example.com",
    ("Web", "proxies"): "127.0.0.1",
    ("ExecutionApi", "url"): "http://execution-api.example.com:8081/execution/",
    ("Logs", "uri"): "s3://logs/task-logs",
    ("Dags", "uri"): "s3://dags",
    ("Dags", "bucket_name"): "dags",
    ("Capacity/gpu", "name"): "gpu-machines",
}
SECRETS = dict.fromkeys(
    (
        *(("Database", "username"), ("Database", "password"), ("Broker", "token"), ("Fernet", "")),
        *(("Jwt", ""), ("Session", ""), ("Admin", "")),
    ),
    "x" * 43,
)
SEVERAL = SeveralExecutors([CeleryExecutor(), EcsExecutor()])
# An executor_config with which a DAG overrides the size of an ECS task.
LARGER = {"overrides": {"cpu": "4096", "memory": "16384", "ephemeralStorage": {"sizeInGiB": 100}}}
WRONG = {"overrides": {"cpu": 4096}}


def run(release: str, executor, container: str, folder: Path, *probe: str) -> SimpleNamespace:
    """Run a probe in a container's environment."""
    programs = REPOSITORY / ".venvs" / f"airflow-{release}" / "bin"
    machine = Machine(programs, folder, ATTRIBUTES, SECRETS, {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"})
    found = plan_of(version=AirflowVersion.of(release), executor=executor)
    (part,) = (c for component in found.components for c in component.containers if c.name == container)
    script, *arguments = probe
    script = str(Path(__file__).with_name(script))
    done = machine.run(part, [str(programs / "python"), "-W", "ignore", script, *arguments])
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(**json.loads(done.stdout.splitlines()[-1]))


def read_executors(release: str, executor, container: str, folder: Path, *configs: object) -> SimpleNamespace:
    """Return the executors that a container loads, and the RunTask call for each ``executor_config``."""
    return run(release, executor, container, folder, "ecs_probe.py", json.dumps(configs))


def call(**capacity: object) -> dict:
    """Return the expected arguments of RunTask."""
    command = {
        "name": "task",
        "command": ["python", "-c", "print('a task')"],
        "environment": [{"name": "AIRFLOW_IS_EXECUTOR_CONTAINER", "value": "true"}],
    }
    network = {"subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
    return {
        "cluster": "data-cluster",
        "taskDefinition": DEFINITION,
        "platformVersion": "LATEST",
        "propagateTags": "TASK_DEFINITION",
        "count": 1,
        "overrides": {"containerOverrides": [command]},
        "networkConfiguration": {"awsvpcConfiguration": network},
        **capacity,
    }


@pytest.mark.parametrize("release", RELEASES)
def test_the_ecs_executor_builds_a_valid_run_task_call(release, tmp_path):
    """The executor builds the expected RunTask call without calling AWS, and botocore accepts it."""
    found = read_executors(release, EcsExecutor(max_run_task_attempts=7), "scheduler", tmp_path, {})
    assert found.names == [[None, ECS]]
    assert found.calls == [[call(launchType="FARGATE"), ""]]
    assert (found.attempts, found.region) == ("7", "eu-central-1")


@pytest.mark.parametrize("release", RELEASES)
def test_a_dag_can_override_the_size_of_an_executor_task_on_spot(release, tmp_path):
    """On Fargate Spot, executor_config can override the size of an executor task, but not with a wrong type."""
    several = SeveralExecutors([CeleryExecutor(), EcsExecutor(spot=True)])
    found = read_executors(release, several, "scheduler", tmp_path, {}, LARGER, WRONG)
    spot = call(capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}])
    larger = {**spot, "overrides": {**spot["overrides"], **LARGER["overrides"]}}
    assert found.calls[:2] == [[spot, ""], [larger, ""]]
    assert "Invalid type for parameter overrides.cpu" in found.calls[2][1]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("capacity", [Ec2Capacity(provider="gpu-machines", gpu=1), ManagedInstances(name="gpu")])
def test_the_run_task_call_on_instances_has_no_platform_version(release, capacity, tmp_path):
    """ECS accepts a platform version only for Fargate; the provider's executor would send "LATEST"."""
    executor = EcsExecutor(capacity=capacity)
    config = tmp_path / "scheduler/config"
    config.mkdir(parents=True)
    for name, text in executor.plan(ExecutorContext(version=AirflowVersion.of(release))).image_files.items():
        (config / name).write_text(text)
    module = "airflow_ecs_executor.EcsExecutorOnInstances"
    found = run(release, executor, "scheduler", tmp_path, "ecs_probe.py", json.dumps([{}]), module)
    expected = call(capacityProviderStrategy=[{"capacityProvider": "gpu-machines", "weight": 1}])
    del expected["platformVersion"]
    assert (found.names, found.calls) == ([[None, module]], [[expected, ""]])


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("container", ["web", "task"])
def test_every_airflow_container_lists_all_executors(release, container, tmp_path):
    """Web components and task containers list both executors; the web component can load the ECS executor."""
    loads = container == "web"
    if loads:
        container = "api-server" if release[0] == "3" else "webserver"
    found = read_executors(release, SEVERAL, container, tmp_path, *([{}] if loads else []))
    assert found.names == [["CeleryExecutor", CELERY], ["ecs", ECS]]
    if loads:
        assert found.calls == [[call(launchType="FARGATE"), ""]]


@pytest.mark.parametrize(
    ("example", "executor", "tasks"),
    [
        (
            "ecs-executor/dags/nightly.py",
            EcsExecutor(),
            {"load": [None, {}], "train": [None, {"overrides": {"cpu": "4096", "memory": "16384"}}]},
        ),
        ("mixed-executors/dags/mixed.py", SEVERAL, {"ask": [None, {}], "crunch": ["ecs", {}]}),
    ],
)
def test_the_dags_of_the_executor_examples_load(example, executor, tasks, tmp_path):
    """The DAG processor loads the executor examples' DAGs."""
    file = str(REPOSITORY / "examples" / example)
    found = run("3.3.2", executor, "dag-processor", tmp_path, "dag_probe.py", file)
    assert (found.errors, found.tasks) == ([], tasks)


def test_a_dag_with_an_unknown_executor_does_not_load(tmp_path):
    """A DAG whose executor is not in the cluster's list of executors does not load."""
    file = str(REPOSITORY / "examples/mixed-executors/dags/mixed.py")
    (error,) = run("3.3.2", CeleryExecutor(), "dag-processor", tmp_path, "dag_probe.py", file).errors
    assert "ecs" in error
