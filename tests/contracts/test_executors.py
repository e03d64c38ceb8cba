"""The contract of executors, checked for this library's executors and a third-party one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowVersion,
    CeleryExecutor,
    EcsExecutor,
    Executor,
    ExecutorContext,
    ExecutorPlan,
    LocalExecutor,
    SeveralExecutors,
    WorkerPool,
)
from cdk_airflow_ecs.testing import check_executor
from contracts.foreign_executor import LambdaExecutor
from synthesis import references, resources


def foreign(stack: Stack) -> LambdaExecutor:
    """Return the third-party executor with its function and queue."""
    function = lambda_.Function(
        stack,
        "Tasks",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): ..."),
    )
    return LambdaExecutor(function=function, queue=sqs.Queue(stack, "Results"))


@pytest.mark.parametrize(
    "executor",
    [
        CeleryExecutor(),
        CeleryExecutor(pools=[WorkerPool("default"), WorkerPool("heavy", cpu=4096, memory_mib=16384)]),
        LocalExecutor(),
        LocalExecutor(parallelism=2),
        EcsExecutor(),
        EcsExecutor(spot=True, environment={"STAGE": "dev"}),
        SeveralExecutors([CeleryExecutor(), EcsExecutor()]),
        SeveralExecutors([EcsExecutor(), LocalExecutor(), CeleryExecutor()]),
    ],
)
def test_the_librarys_executors_pass_check_executor(executor):
    """check_executor passes for each executor of this library."""
    check_executor(executor)


def test_a_third_party_executor_passes_check_executor():
    """check_executor passes, although the executor rejects old releases."""
    check_executor(foreign(Stack(App(), "Stack")))


@dataclass(frozen=True)
class Broken(Executor):
    """An executor whose plan() returns the next of *plans* at each call."""

    plans: list[dict[str, Any]] = field(default_factory=list)

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """Return the next plan."""
        if not self.plans:
            raise ValueError("needs Airflow 4.0")
        self.plans.append(self.plans.pop(0))
        return ExecutorPlan(**{"class_path": "CeleryExecutor", **self.plans[-1]})


WORKERS = CeleryExecutor().plan(ExecutorContext(version=AirflowVersion.V3_3)).workers


@pytest.mark.parametrize(
    ("plans", "words"),
    [
        ([], "refuses every Airflow: needs Airflow 4.0"),
        ([{}, {"environment": {"A": "1"}}], "two different plans for Airflow 2.8.4"),
        ([{"workers": WORKERS * 2}], "two services share a path"),
        (
            [{"workers": [type(WORKERS[0])(process=WORKERS[0].process, path="Tasks", service=WORKERS[0].service)]}],
            'must have the form "Pools/name"',
        ),
        ([{"tasks": WORKERS}], 'must have the form "Tasks/name"'),
        ([{"stores": {"my broker": CeleryExecutor().broker}}], "'my broker' is not a construct id"),
        ([{"config": {("celery", "broker_ulr"): "x"}}], r"did you mean \[celery\] broker_url\?"),
        ([{"loader_config": {("celery", "broker_ulr"): "x"}}], r"did you mean \[celery\] broker_url\?"),
        ([{"config": {("core", "hostname_callable"): "x"}}], r"\[core\] hostname_callable is given twice"),
        ([{"config": {("core", "fernet_key_cmd"): "x"}}], r"\[core\] fernet_key_cmd is given twice"),
    ],
)
def test_check_executor_reports_each_violation_of_the_contract(plans, words):
    """The error of check_executor describes the violation."""
    with pytest.raises(AssertionError, match=words):
        check_executor(Broken(plans))


def test_only_the_scheduler_has_the_grants_of_a_third_party_executor():
    """Only the scheduler's role has the grants of the executor's bind()."""
    stack = Stack(App(), "Data")
    AirflowCluster(stack, "Airflow", version=AirflowVersion.V3_3, executor=foreign(stack))
    template = Template.from_stack(stack).to_json()
    (scheduler,) = [name for name in resources(template, "AWS::IAM::Role") if "SchedulerTaskRole" in name]
    granted = {}
    for policy in resources(template, "AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            target = {name.rstrip("0123456789ABCDEF") for name in references(statement["Resource"])}
            if target & {"Tasks", "Results"}:
                assert references(policy["Properties"]["Roles"]) == {scheduler}
                granted[target.pop()] = set(actions)
    assert granted == {
        "Tasks": {"lambda:InvokeFunction"},
        "Results": {
            "sqs:ReceiveMessage",
            "sqs:ChangeMessageVisibility",
            "sqs:GetQueueUrl",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
        },
    }
    (task,) = [name for name in resources(template, "AWS::ECS::TaskDefinition") if "SchedulerTaskDefinition" in name]
    (container,) = template["Resources"][task]["Properties"]["ContainerDefinitions"]
    variables = {item["Name"]: item["Value"] for item in container["Environment"]}
    assert references(variables["AIRFLOW__AWS_LAMBDA_EXECUTOR__FUNCTION_NAME"])
    assert references(variables["AIRFLOW__AWS_LAMBDA_EXECUTOR__QUEUE_URL"])
    assert not [name for name in template["Resources"] if "Broker" in name or "Pools" in name]
