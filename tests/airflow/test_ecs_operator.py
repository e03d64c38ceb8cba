"""ECS tasks of the user: a DAG passes the generated variable to the real operator, which runs against moto."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ecs as ecs
from containers import REPOSITORY, Machine
from test_ecs_executor import ATTRIBUTES, SECRETS

from cdk_airflow_ecs import AirflowVersion
from cdk_airflow_ecs.ecs_task import EcsTask
from cdk_airflow_ecs.plan import ClusterPlan, Json
from cdk_airflow_ecs.testing import plan_of
from emulator.server import REGION, Emulator
from synthesis import add_cluster, flat, resources, synthesize

# Several tests share the result of a worker.
pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("operator")]

RELEASES = ["3.3.2", "2.11.2"]
IMPORTS = {
    "3": "from airflow.sdk import DAG, Variable",
    "2": "from airflow import DAG\nfrom airflow.models import Variable",
}
DAG_FILE = """
from datetime import timedelta

from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
{imports}

ETL = Variable.get("ecs_etl", deserialize_json=True)
SOON = {{"awslogs_fetch_interval": timedelta(seconds=1)}}  # only to be done sooner
with DAG("etl"):
    command = {{"containerOverrides": [{{"name": "etl", "command": ["python", "load.py"]}}]}}
    EcsRunTaskOperator(task_id="plain", overrides={{}}, **SOON, **ETL)
    EcsRunTaskOperator(task_id="overridden", overrides=command, **SOON, **ETL)
    EcsRunTaskOperator(task_id="reattaching", overrides={{}}, reattach=True, **SOON, **ETL)
    EcsRunTaskOperator(task_id="deferred", overrides={{}}, deferrable=True, **SOON, **ETL)
"""
# The arguments of EcsRunTaskOperator that the variable may contain, with the first of the examined amazon providers
# that accepts them (8.19.0, 8.26.0, 9.2.0, 9.4.0, 9.6.1, 9.8.0, 9.12.0 and 9.22.0, from the wheels on PyPI).
TAKEN_SINCE = {
    "cluster": (8, 19),
    "task_definition": (8, 19),
    "launch_type": (8, 19),
    "capacity_provider_strategy": (8, 19),
    "network_configuration": (8, 19),
    "propagate_tags": (8, 19),
    "awslogs_group": (8, 19),
    "awslogs_region": (8, 19),
    "awslogs_stream_prefix": (8, 19),
    "container_name": (9, 4),
}
# The newest provider on the day of each line's first release, by PyPI's upload times (``uv pip compile
# --exclude-newer``); 2.10.5 has 9.2.0. Lines after 3.0 have no older provider.
PROVIDERS = {"2.8": (8, 13), "2.9": (8, 19), "2.10": (8, 27), "2.11": (9, 8), "3.0": (9, 6)}


@dataclass
class Account:
    """An account after a deployment."""

    emulator: Emulator
    subnets: list[str]
    security_group: str
    runs: dict[tuple[str, bool], Run] = field(default_factory=dict)


@pytest.fixture(scope="module")
def account(tmp_path_factory) -> Iterator[Account]:
    """Start the emulator and create a network and an ECS cluster."""
    with Emulator(tmp_path_factory.mktemp("emulator") / "log") as emulator:
        ec2 = emulator.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        blocks = ("10.0.0.0/24", "10.0.1.0/24")
        subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=block)["Subnet"]["SubnetId"] for block in blocks]
        group = ec2.create_security_group(VpcId=vpc, GroupName="etl", Description="etl")["GroupId"]
        providers = ["FARGATE", "FARGATE_SPOT"]
        emulator.client("ecs").create_cluster(clusterName="data-cluster", capacityProviders=providers)
        emulator.client("logs").create_log_group(logGroupName="containers")
        yield Account(emulator, subnets, group)


@cache
def template(release: str, spot: bool) -> dict:
    """Return the template of a cluster with an ECS task."""

    def build(app):
        cluster = add_cluster(Stack(app, "Data"), version=AirflowVersion.of(release))
        cluster.add_ecs_task("etl", image=ecs.ContainerImage.from_registry("python:3.13"), spot=spot)

    return synthesize(build).templates["Data"]


def deployed(node: object, rendered: dict, account: Account) -> object:
    """Return part of a template with existing ids."""
    subnets, ids = iter(account.subnets), {}
    kinds = {
        "AWS::ECS::Cluster": lambda: "data-cluster",
        "AWS::Logs::LogGroup": lambda: "containers",
        "AWS::EC2::SecurityGroup": lambda: account.security_group,
        "AWS::EC2::Subnet": lambda: next(subnets),
    }

    def value(match):
        logical_id = match[1].partition(".")[0]
        if logical_id not in ids:
            ids[logical_id] = kinds[rendered["Resources"][logical_id]["Type"]]()
        return ids[logical_id]

    text = json.dumps(flat(node, {"AWS::Region": REGION}))
    return json.loads(re.sub(r"<(\w[\w.]*)>", value, text))


@dataclass
class Run:
    """The result of a DAG file in a worker."""

    definition: dict
    tasks: dict
    plan: ClusterPlan


def run(release: str, spot: bool, account: Account, folder: Path) -> Run:
    """Register the rendered task definition and run the DAG file's tasks in a worker, once per release and spot."""
    if (release, spot) in account.runs:
        return account.runs[release, spot]
    rendered = template(release, spot)
    definitions = [each["Properties"] for each in resources(rendered, "AWS::ECS::TaskDefinition").values()]
    (worker,) = (c for each in definitions for c in each["ContainerDefinitions"] if c["Name"] == "worker")
    (variable,) = (each["Value"] for each in worker["Environment"] if each["Name"] == "AIRFLOW_VAR_ECS_ETL")
    ((family, container),) = (
        (each["Family"], c) for each in definitions for c in each["ContainerDefinitions"] if c["Name"] == "etl"
    )
    log = deployed(container["LogConfiguration"]["Options"], rendered, account)
    definition = account.emulator.client("ecs").register_task_definition(
        family=family,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="1024",
        memory="2048",
        containerDefinitions=[
            {
                "name": "etl",
                "image": container["Image"],
                "logConfiguration": {"logDriver": container["LogConfiguration"]["LogDriver"], "options": log},
            }
        ],
    )["taskDefinition"]
    account.emulator.plan({"image": container["Image"], "logs": ["line 1", "line 2"]})
    file = folder / "etl.py"
    file.write_text(DAG_FILE.format(imports=IMPORTS[release[0]]))

    programs = REPOSITORY / ".venvs" / f"airflow-{release}" / "bin"
    variables = {**account.emulator.env, "AIRFLOW_VAR_ECS_ETL": deployed(variable, rendered, account)}
    machine = Machine(programs, folder, ATTRIBUTES, SECRETS, variables)
    plan = plan_of(version=AirflowVersion.of(release), ecs_tasks=(EcsTask(name="etl", spot=spot),))
    (process,) = (c for component in plan.components for c in component.containers if c.name == "worker")
    bare = replace(process, environment={k: v for k, v in process.environment.items() if not isinstance(v, Json)})
    probe = str(Path(__file__).with_name("operator_probe.py"))
    done = machine.run(bare, [str(programs / "python"), "-W", "ignore", probe, str(file)])
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == []
    account.runs[release, spot] = Run(definition, found["tasks"], plan)
    return account.runs[release, spot]


def actions(plan: ClusterPlan, component: str) -> set[str]:
    """Return the actions that a component's task role allows."""
    return {action for permission in plan.component(component).permissions for action in permission.actions}


@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("release", RELEASES)
def test_the_operator_runs_the_task(release, spot, account, tmp_path):
    """With only the variable, the operator starts the task, waits for it and reads its log."""
    found = run(release, spot, account, tmp_path)
    network = {"subnets": account.subnets, "securityGroups": [account.security_group], "assignPublicIp": "DISABLED"}
    capacity = (
        {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
        if spot
        else {"launchType": "FARGATE"}
    )
    command = {"containerOverrides": [{"name": "etl", "command": ["python", "load.py"]}]}
    for name, overrides in {"plain": {}, "overridden": command, "reattaching": {}, "deferred": {}}.items():
        task = found.tasks[name]
        assert task["returned"] == "line 2", name
        ((started, arn),) = ((request, answer) for call, request, answer in task["calls"] if call == "ecs:RunTask")
        assert {*started} - {"startedBy", "clientToken"} == {
            *("cluster", "taskDefinition", "overrides", "networkConfiguration", "propagateTags"),
            *capacity,
        }
        assert started == started | {
            "cluster": "data-cluster",
            "taskDefinition": found.definition["family"],
            "overrides": overrides,
            "propagateTags": "TASK_DEFINITION",
            "networkConfiguration": {"awsvpcConfiguration": network},
            **capacity,
        }
        streams = {request["logStreamName"] for call, request, _ in task["calls"] if call == "logs:GetLogEvents"}
        assert streams == {f"etl/etl/{arn.rpartition('/')[2]}"}
    path, arguments = found.tasks["deferred"]["trigger"]
    assert path == "airflow.providers.amazon.aws.triggers.ecs.TaskDoneTrigger"
    assert arguments["log_stream"] in str(found.tasks["deferred"]["calls"])
    assert (arguments["cluster"], arguments["log_group"]) == ("data-cluster", "containers")


@pytest.mark.parametrize("release", RELEASES)
def test_the_permissions_are_the_calls_of_the_operator(release, account, tmp_path):
    """The worker may do exactly the operator's calls; the triggerer may only describe tasks and read logs."""
    found = run(release, False, account, tmp_path)
    calls = {call for task in found.tasks.values() for call, *_ in task["calls"]}
    assert calls == {"ecs:RunTask", "ecs:DescribeTasks", "ecs:ListTasks", "ecs:StopTask", "logs:GetLogEvents"}
    without = plan_of(version=AirflowVersion.of(release))
    assert actions(found.plan, "Pools/default") - actions(without, "Pools/default") == {
        *calls,
        "iam:PassRole",
        "ecs:TagResource",
    }
    waits = {"ecs:DescribeTasks", "logs:GetLogEvents"}
    assert actions(found.plan, "Triggerer") - actions(without, "Triggerer") == waits


# Imports of the examples' DAG files, and the same in Airflow 2.
AIRFLOW_2 = {
    "from airflow.sdk import DAG, Variable": IMPORTS["2"],
    "from airflow.sdk import dag, task": "from airflow.decorators import dag, task",
}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("name", "queues"),
    [
        ("ecs-operator/dags/etl.py", {"load": "default", "report": "default"}),
        ("worker-pools/dags/pools.py", {"ask": "default", "train": "training", "sweep": "cheap", "pack": "arm"}),
    ],
)
def test_the_dags_of_the_examples(name, queues, release, tmp_path):
    """The DAGs of the examples load in the DAG processors of both Airflow versions."""
    text = (REPOSITORY / "examples" / name).read_text()
    for new, old in AIRFLOW_2.items() if release[0] == "2" else ():
        text = text.replace(new, old)
    file = tmp_path / "example.py"
    file.write_text(text)
    tasks = (EcsTask(name="etl", spot=True), EcsTask(name="nightly-report"))
    attributes = {
        **ATTRIBUTES,
        **{(task.component, name): name for task in tasks for name in ("family", "security_group_id")},
        ("Network", "task_subnet_list"): ["subnet-1"],
        ("Network", "assign_public_ip_word"): "DISABLED",
        ("TaskCluster", "name"): "data-tasks",
        ("ContainerLogs", "name"): "containers",
    }
    programs = REPOSITORY / ".venvs" / f"airflow-{release}" / "bin"
    machine = Machine(programs, tmp_path, attributes, SECRETS, {})
    plan = plan_of(version=AirflowVersion.of(release), ecs_tasks=tasks)
    (process,) = (c for component in plan.components for c in component.containers if c.name == "dag-processor")
    probe = str(Path(__file__).with_name("dag_probe.py"))
    done = machine.run(process, [str(programs / "python"), "-W", "ignore", probe, str(file)])
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["errors"], found["queues"]) == ([], queues)


@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("version", AirflowVersion.ALL, ids=str)
def test_older_operators_accept_the_variable(version, spot):
    """The operator of a line's oldest image accepts each argument in the variable."""
    arguments = EcsTask(name="etl", spot=spot).operator_arguments(version).tree
    provider = PROVIDERS.get(version.line, PROVIDERS["3.0"])
    # 8.13, of Airflow 2.8.0, was not examined; 2.8.4, which is V2_8, has 8.19.
    assert [name for name in arguments if TAKEN_SINCE[name] > max(provider, (8, 19))] == []
    assert ("container_name" in arguments) == (provider >= TAKEN_SINCE["container_name"])


@pytest.mark.parametrize("release", RELEASES)
def test_the_installed_operator_accepts_every_argument(release):
    """The installed operator accepts each argument that the variable may contain."""
    file = next((REPOSITORY / ".venvs" / f"airflow-{release}").glob("lib/*/site-packages/airflow/providers/amazon"))
    tree = ast.parse((file / "aws/operators/ecs.py").read_text())
    (operator,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "EcsRunTaskOperator")
    (init,) = (n for n in operator.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
    assert {*TAKEN_SINCE} <= {argument.arg for argument in init.args.kwonlyargs}
