"""The contract of stores: their bindings provide exactly the values that plans may refer to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk.assertions import Annotations, Match, Template
from constructs import Construct

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowVersion,
    AuroraDatabase,
    CeleryExecutor,
    CloudWatchLogs,
    ContainerDatabase,
    ExistingDatabase,
    ImageDags,
    LocalLogs,
    RdsDatabase,
    RedisBroker,
    S3Dags,
    S3Logs,
    SqsBroker,
    Web,
)
from cdk_airflow_ecs.access_logs import AccessLogs
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.cluster_arguments import ClusterArguments
from cdk_airflow_ecs.network import build_network
from cdk_airflow_ecs.planning import plan_cluster
from cdk_airflow_ecs.resolve import resolve
from cdk_airflow_ecs.secrets import bind_secrets, cluster_key
from cdk_airflow_ecs.shared_resources import SharedResources
from cdk_airflow_ecs.stack_facts import StackFacts
from contracts.offers import ALWAYS, OFFERS, SINCE_3
from synthesis import resources

STORES = {
    "rds": lambda secret: RdsDatabase(),
    "aurora": lambda secret: AuroraDatabase(readers=2),
    "container-database": lambda secret: ContainerDatabase(),
    "files": lambda secret: ContainerDatabase().parts()["Database/Files"],
    "existing-database": lambda secret: ExistingDatabase(endpoint="db.example.com", secret=secret),
    "redis": lambda secret: RedisBroker(),
    "container-redis": lambda secret: RedisBroker.container(),
    "existing-redis": lambda secret: RedisBroker.existing("redis.example.com", auth_token=secret),
    "sqs": lambda secret: SqsBroker().store(["default"]),
    "s3-dags": lambda secret: S3Dags(),
    "image-dags": lambda secret: ImageDags(),
    "cloudwatch-logs": lambda secret: CloudWatchLogs(),
    "s3-logs": lambda secret: S3Logs(),
    "local-logs": lambda secret: LocalLogs(),
    "web": lambda secret: Web(),
}


@pytest.fixture(scope="module")
def foundation():
    """Return what stores are bound to: stack, network and key."""
    stack = Stack(App(), "Stack")
    facts = StackFacts(stack)
    key = cluster_key(stack, removal_policy=None)
    network = build_network(stack, facts, vpc=ec2.Vpc(stack, "Given"), subnets={}, internet_facing=False, key=key)
    return BindContext(
        stack=facts,
        network=network,
        key=key,
        access_logs=AccessLogs(stack, facts, removal_policy=None),
        removal_policy=None,
        namespace="airflow-0.airflow.internal",
    )


@pytest.mark.parametrize("name", STORES)
def test_the_binding_of_a_store_has_exactly_the_values_in_offers(foundation, name):
    """The binding of a store has exactly the attributes and secrets that OFFERS lists, each with a value."""
    stack = Stack.of(foundation.key)
    store = STORES[name](secretsmanager.Secret(stack, f"Secret-{name}"))
    binding = store.bind(Construct(stack, name), foundation)
    _, attributes, fields = OFFERS[type(store)]
    assert set(binding.attributes) == attributes
    assert set(binding.secrets) == fields
    assert all(binding.attributes.values())


def test_every_store_in_offers_is_tested(foundation):
    """STORES has a test case for each store in OFFERS."""
    secret = secretsmanager.Secret(Stack.of(foundation.key), "Secret")
    assert {type(make(secret)) for make in STORES.values()} == set(OFFERS)


@pytest.mark.parametrize("execution_api", [False, True])
def test_the_secrets_of_the_cluster_are_those_in_offers_py(foundation, execution_api):
    """offers.py lists the cluster's secrets; the key of execution API tokens only since Airflow 3."""
    scope = Construct(Stack.of(foundation.key), f"Secrets{execution_api}")
    bound = bind_secrets(scope, foundation, execution_api=execution_api)
    expected = {**ALWAYS, **(SINCE_3 if execution_api else {})}
    assert {name: (set(b.attributes), set(b.secrets)) for name, b in bound.items()} == {
        name: offer for name, offer in expected.items() if offer[1]
    }


def test_the_values_that_the_cluster_binds_are_those_in_offers_py():
    """offers.py lists every value that the cluster provides without a store."""
    stack = Stack(App(), "Stack")
    settings = resolve(ClusterArguments(version=AirflowVersion.V3_3))
    shared = SharedResources(stack, settings, vpc=None, subnets={}, encryption_key=None, removal_policy=None)
    bindings = shared.bind(settings, plan_cluster(settings)).bindings
    resources_, given = {*settings.resources()}, {"Given", "LogRouter"}
    offered = {name: (set(b.attributes), set(b.secrets)) for name, b in bindings.items()}
    assert {name: offer for name, offer in offered.items() if name not in resources_ | given} == ALWAYS | SINCE_3


def foreign(base: type, name: str) -> Any:
    """Return a third-party resource with a warning and a component."""

    class Foreign(base):
        def advice(self):
            return [Advice("acme:advice", f"{name} has advice")]

        def component(self):
            own = RedisBroker.container().component()
            return replace(own, name=f"{name}/Acme", path=f"{name}/Acme", dns_name="acme")

    return Foreign()


def with_part(base: type) -> Any:
    """Return a resource that contains a third-party resource."""

    class Whole(base):
        def parts(self):
            return {"Dags/Part": foreign(ImageDags, "Dags/Part")}

    return Whole()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Database", {"database": foreign(RdsDatabase, "Database")}),
        ("Broker", {"executor": CeleryExecutor(broker=foreign(RedisBroker, "Broker"))}),
        ("Dags", {"dags": foreign(S3Dags, "Dags")}),
        ("Logs", {"logs": foreign(LocalLogs, "Logs")}),
        ("Web", {"web": foreign(Web, "Web")}),
        ("Dags/Part", {"dags": with_part(S3Dags)}),
    ],
)
def test_the_cluster_uses_warnings_and_components_of_third_party_resources(name, arguments):
    """The cluster gives the warnings and runs the components of third-party resources."""
    stack = Stack(App(), "Data")
    cluster = AirflowCluster(stack, "Airflow", version=AirflowVersion.V3_3, **arguments)
    warning = Match.string_like_regexp(f"{name} has advice.*acme:advice")
    assert len(Annotations.from_stack(stack).find_warning("*", warning)) == 1
    assert cluster.plan.component(f"{name}/Acme").containers
    services = resources(Template.from_stack(stack).to_json(), "AWS::ECS::Service")
    assert [service for service in services if service.startswith(f"Airflow{name.replace('/', '')}AcmeService")]
