"""SeveralExecutors: its list of executors, and the union of their plans."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from plans import EXECUTORS, LAMBDA, VERSIONS, containers, option, plan

from cdk_airflow_ecs import (
    AirflowVersion,
    CeleryExecutor,
    EcsExecutor,
    Executor,
    ExecutorContext,
    ExecutorPlan,
    LocalExecutor,
    RedisBroker,
    SeveralExecutors,
)
from cdk_airflow_ecs.testing import plan_of

ECS = "airflow.providers.amazon.aws.executors.ecs.ecs_executor.AwsEcsExecutor"
LINES = ["2.10", "2.11", "3.0", "3.1", "3.2", "3.3"]


@dataclass(frozen=True, kw_only=True)
class Other(Executor):
    """A third-party executor with the plan that is passed."""

    plan_: ExecutorPlan

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """Return the given plan."""
        return self.plan_


def several(*executors, line="3.3"):
    """Plan a cluster with the given executors."""
    return plan_of(version=VERSIONS[line], executor=SeveralExecutors(executors))


@pytest.mark.parametrize("line", LINES)
def test_all_containers_have_the_same_list_of_executors(line):
    """A DAG that names an executor must load everywhere."""
    found = containers(plan(line, "several"))
    del found["migrate"]
    assert {"worker", "task", "dag-processor", "scheduler", "triggerer"} < set(found)
    assert {option(c, "core", "executor") for c in found.values()} == {f"CeleryExecutor,ecs:{ECS}"}


def test_the_first_executor_is_the_default():
    """The list keeps order and aliases."""
    found = several(EcsExecutor(alias="fargate"), LocalExecutor())
    assert option(containers(found)["task"], "core", "executor") == f"fargate:{ECS},LocalExecutor"


@pytest.mark.parametrize("line", LINES)
def test_each_executor_keeps_its_workers_tasks_and_permissions(line):
    """With SeveralExecutors, workers, executor tasks, permissions and edges are those of each single executor."""
    both, celery, ecs = plan(line, "several"), plan(line, "celery"), plan(line, "ecs")
    for name, alone in (("Pools/default", celery), ("Tasks/executor", ecs)):
        (mine,), (its,) = both.component(name).containers, alone.component(name).containers
        names = {*mine.environment, *its.environment}
        changed = {key for key in names if mine.environment.get(key) != its.environment.get(key)}
        assert changed == {"AIRFLOW__CORE__EXECUTOR"}
        assert both.component(name).permissions == alone.component(name).permissions
    assert set(both.edges) == {*celery.edges, *ecs.edges}
    assert both.component("Scheduler").permissions == ecs.component("Scheduler").permissions


def test_only_the_scheduler_has_the_options_of_both_executors():
    """Other components have the options of one executor, or none."""
    found = containers(plan(executor="several"))
    speak = {
        name: {w for w in ("CELERY__", "BROKER_", "ECS_EXECUTOR__") if w in str(c.environment)}
        for name, c in found.items()
    }
    assert speak["scheduler"] == {"CELERY__", "BROKER_", "ECS_EXECUTOR__"}
    assert speak["worker"] == {"CELERY__", "BROKER_"}
    assert speak["api-server"] == {"ECS_EXECUTOR__"}
    assert {name for name, words in speak.items() if not words} >= {"task", "dag-processor", "triggerer"}


def test_with_a_local_executor_the_scheduler_runs_dags():
    """The scheduler has the larger default size of LocalExecutor."""
    scheduler = several(LocalExecutor(parallelism=16), EcsExecutor()).component("Scheduler")
    assert (scheduler.cpu, scheduler.runs_user_code, scheduler.containers[0].port) == (2048, True, 8793)
    assert option(scheduler.containers[0], "core", "parallelism") == "16"


def test_executors_may_be_any_sequence():
    """SeveralExecutors accepts lists, tuples and generators."""
    members = [CeleryExecutor(), EcsExecutor()]
    assert SeveralExecutors(members) == SeveralExecutors(tuple(members)) == SeveralExecutors(m for m in members)


def test_an_executor_without_an_alias_is_listed_by_its_class():
    """An executor without an alias is listed by its class."""
    bound = []

    class Bound(Other):
        def bind(self, cluster):
            bound.append(cluster)

    executor = SeveralExecutors([Bound(plan_=ExecutorPlan(class_path="acme.Executor")), CeleryExecutor()])
    assert executor.plan(ExecutorContext(version=VERSIONS["3.3"])).class_path == "acme.Executor,CeleryExecutor"
    executor.bind("cluster")
    assert bound == ["cluster"]
    assert option(containers(several(CeleryExecutor(), LAMBDA))["worker"], "core", "executor").endswith(
        ",airflow.providers.amazon.aws.executors.aws_lambda.AwsLambdaExecutor"
    )


OTHER = Other(plan_=ExecutorPlan(class_path="acme.Executor"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (CeleryExecutor(), "SeveralExecutors executors must be a list such as [CeleryExecutor(), EcsExecutor()], got"),
        ([], "requires two or more executors such as [CeleryExecutor(), EcsExecutor()], got 0"),
        ([CeleryExecutor()], "requires two or more executors such as [CeleryExecutor(), EcsExecutor()], got 1"),
        ([CeleryExecutor(), "ecs"], "SeveralExecutors executors must be an Executor such as EcsExecutor(), got 'ecs'"),
        ([CeleryExecutor(), EcsExecutor], "got the class EcsExecutor; create an object"),
        ([EcsExecutor(), EcsExecutor(alias="big", cpu=2048, memory_mib=4096)], "has two of EcsExecutor"),
        ([LocalExecutor(), SeveralExecutors([CeleryExecutor(), OTHER])], "Put all executors into one list"),
    ],
)
def test_invalid_arguments_of_several_executors_are_rejected(given, words):
    """The error states the given value and the accepted values."""
    with pytest.raises(ValueError, match=re.escape(words)):
        SeveralExecutors(given)


BROKER = RedisBroker(replicas=1)


@pytest.mark.parametrize(
    ("plan_", "words"),
    [
        ({"class_path": "CeleryExecutor"}, "two executors of the class CeleryExecutor"),
        ({"class_path": "acme.Executor", "alias": "ecs"}, "two executors of the alias ecs"),
        (
            {"class_path": "acme.Executor", "alias": "CeleryExecutor"},
            "the alias CeleryExecutor of Other is the name of another executor",
        ),
        (
            {"class_path": "acme.Executor", "alias": "AwsEcsExecutor"},
            "the alias AwsEcsExecutor of Other is the name of another executor",
        ),
        (
            {"class_path": "acme.Executor", "config": {("celery", "broker_url_cmd"): "x"}},
            "[celery] broker_url_cmd is given twice: as a command by CeleryExecutor",
        ),
        (
            {"class_path": "acme.Executor", "loader_config": {("aws_ecs_executor", "cluster"): "x"}},
            "[aws_ecs_executor] cluster is given twice: as a value known only at deploy time",
        ),
        (
            {"class_path": "acme.Executor", "environment": {"BROKER_PORT": "1"}},
            "the variable BROKER_PORT differs between CeleryExecutor and Other",
        ),
        (
            {"class_path": "acme.Executor", "stores": {"Broker": BROKER}},
            "the store Broker differs between CeleryExecutor and Other",
        ),
    ],
)
def test_the_error_for_conflicting_executors_names_both(plan_, words):
    """The error for two conflicting executors names both."""
    with pytest.raises(ValueError, match=re.escape(words)):
        several(CeleryExecutor(), EcsExecutor(), Other(plan_=ExecutorPlan(**plan_)))


def test_equal_settings_of_two_executors_are_merged():
    """Two executors may use the same stores, variables and options."""
    celery = CeleryExecutor().plan(ExecutorContext(version=VERSIONS["3.3"]))
    shared = ExecutorPlan(
        class_path="acme.Executor", config=celery.config, environment=celery.environment, stores=celery.stores
    )
    assert several(CeleryExecutor(), Other(plan_=shared)).component("Pools/default").containers[0].environment


@pytest.mark.parametrize("version", ["2.8.1", "2.9.3"])
def test_several_executors_require_airflow_2_10(version):
    """Before Airflow 2.10 there is only one executor."""
    with pytest.raises(ValueError, match=f"SeveralExecutors requires Airflow 2.10 or newer, got {version}"):
        plan_of(version=AirflowVersion.of(version), executor=EXECUTORS["several"])
    assert plan_of(version=AirflowVersion.of("2.10.0"), executor=EXECUTORS["several"])
