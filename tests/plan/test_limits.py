"""Arguments beyond the limits of AWS raise an error before any construct exists."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from cdk_airflow_ecs import (
    AirflowVersion,
    CeleryExecutor,
    FireLens,
    HealthCheck,
    S3Dags,
    S3Logs,
    Service,
    Web,
    WorkerPool,
)
from cdk_airflow_ecs.ecs_task import EcsTask
from cdk_airflow_ecs.limits import TASK_DEFINITION_BYTES, definition_bytes
from cdk_airflow_ecs.plan import Component, Container, Json, Ref, SecretRef
from cdk_airflow_ecs.testing import plan_of

LONG = "x" * 10_000
TOKEN = "${Token[Text.1234]}"
V = AirflowVersion.V3_3


def component(environment: dict, **more) -> Component:
    """Return a component with one container."""
    containers = (Container(name="one", environment=environment, **more),)
    return Component(name="One", path="Components/One", containers=containers, cpu=256, memory_mib=512, count=1)


def test_the_size_of_a_task_definition_counts_its_known_text():
    """Known text counts as escaped JSON; tokens count as empty text."""
    empty = definition_bytes(component({}))
    assert definition_bytes(component({"A": "x"})) - empty == len('{"name":"A","value":"x"}')
    assert definition_bytes(component({"A": 'ü"\n'})) - empty == len('{"name":"A","value":"') + 6 + len('"}')
    assert definition_bytes(component({"A": Ref("Broker", "host")})) - empty == len('{"name":"A","value":""}')
    assert definition_bytes(component({"A": SecretRef("Jwt")})) - empty == len('{"name":"A","valueFrom":""}')
    tree = {"a": Ref("Broker", "host"), "b": [1]}
    text = json.dumps(json.dumps({"a": "", "b": [1]}))
    assert definition_bytes(component({"A": Json(tree)})) - empty == len('{"name":"A","value":}') + len(text)
    assert definition_bytes(component({"A": f"a{TOKEN}b"})) - empty == len('{"name":"A","value":"ab"}')
    assert definition_bytes(component({}, command=("x" * 50,))) - empty == 52


TOO_LARGE = {
    "many": {"environment": {f"V{i}": "x" * 1000 for i in range(70)}},
    "multibyte characters": {"environment": {f"V{i}": "ü" * 500 for i in range(70)}},
    "escapes": {"environment": {"A": "\n" * 33_000}},
    "an option": {"config": {"logging": {"log_format": "x" * 66_000}}},
    "a service": {"services": {"Triggerer": Service(environment={"A": LONG * 7})}},
    "a pool": {"executor": CeleryExecutor(pools=[WorkerPool("default", environment={"A": LONG * 7})])},
    "a health check": {"services": {"Scheduler": Service(health_check=HealthCheck(command=("true", LONG * 7)))}},
    "the log router": {"log_router": FireLens(options={"Name": "http", "Header": LONG * 7})},
    "both API containers": {"environment": {"A": "x" * 33_000}},
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_task_definition_that_is_too_large_is_rejected(name):
    """The error states the size, the limit and the largest variables."""
    with pytest.raises(ValueError, match=r"task definition of .*65,536 bytes") as error:
        plan_of(version=V, **TOO_LARGE[name])
    assert len(str(error.value)) < 700
    assert "x" * 100 not in str(error.value)


def test_the_error_for_a_large_task_definition_names_the_largest_variables():
    """The error has the names of the largest environment variables, not their values."""
    with pytest.raises(ValueError, match=r"A \(40,000 bytes\)") as error:
        plan_of(version=V, environment={"A": LONG * 4, "B": "x" * 30_000, "C": "short"})
    assert "B (30,000 bytes)" in str(error.value)
    assert "C (" not in str(error.value)


def test_long_variables_within_the_size_limit_are_accepted():
    """Long environment variables within the limit of a task definition are accepted; tokens do not count."""
    plan = plan_of(version=V, environment={"A": LONG, "B": LONG, **{f"V{i}": TOKEN for i in range(200)}})
    assert max(map(definition_bytes, plan.components)) < TASK_DEFINITION_BYTES


def test_too_many_ecs_tasks_are_rejected():
    """Each ECS task adds a variable to the components with DAGs, whose task definitions have a size limit."""
    tasks = tuple(EcsTask(name=f"etl{number}") for number in range(200))
    assert plan_of(version=V, ecs_tasks=tasks[:40])
    with pytest.raises(ValueError, match="task definition of DagProcessor"):
        plan_of(version=V, ecs_tasks=tasks)


def peer(text: str) -> SimpleNamespace:
    """Return a stand-in for an ``ec2.IPeer``."""
    return SimpleNamespace(unique_id=text, can_inline_rule=True)


def test_more_allowed_clients_than_security_group_rules_are_rejected():
    """With HTTPS, each client in allow_from= needs two rules."""
    blocks = [f"10.{number}.0.0/16" for number in range(80)]
    certificate = SimpleNamespace(certificate_arn="arn:aws:acm:eu-west-1:123456789012:certificate/1")
    with pytest.raises(ValueError, match=r"80 clients.*60 rules"):
        Web(allow_from=blocks)
    assert len(Web(allow_from=blocks[:60]).allow_from or ()) == 60
    with pytest.raises(ValueError, match=r"31 clients.*two rules each.*60 rules"):
        Web(certificate=certificate, allow_from=blocks[:31])
    assert Web(certificate=certificate, allow_from=blocks[:30])
    # IPv4 and IPv6 rules have separate limits; a security group or prefix list counts towards both.
    sixes = [f"2001:db8:{number}::/48" for number in range(60)]
    assert Web(allow_from=[*blocks[:60], *sixes])
    with pytest.raises(ValueError, match="61 clients"):
        Web(allow_from=[*sixes, peer("pl-0123456789abcdef0")])
    with pytest.raises(ValueError, match="80 clients"):
        Web(allow_from=list(map(peer, blocks)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Web(domain_name="*.example.com"), r"domain_name.*\*\.example\.com"),
        (lambda: Web(domain_name=LONG), "domain_name.*253"),
        (lambda: Web(domain_name=f"{'x' * 64}.example.com"), "domain_name.*63"),
        (lambda: Web(base_url=f"https://{LONG}"), "base_url.*253"),
        (lambda: Web(base_url="https://*.example.com"), r"base_url.*\*\.example\.com"),
        (lambda: WorkerPool("heavy", queues=[LONG]), "queue.*256"),
        (lambda: S3Logs(prefix=LONG), "prefix.*512"),
        (lambda: S3Logs(prefix="ü" * 257), "prefix.*512"),
        (lambda: S3Dags(bucket=SimpleNamespace(bucket_arn="arn:aws:s3:::b"), prefix=LONG), "prefix.*512"),
    ],
)
def test_the_error_for_a_name_that_is_too_long_does_not_repeat_the_name(make, message):
    """The error does not contain the long name."""
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert len(str(error.value)) < 400
