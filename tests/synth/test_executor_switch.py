"""What becomes of stores when executor or broker change: by the templates, and by the real ``cdk diff``."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess

import pytest
from aws_cdk import Stack
from aws_cdk import aws_secretsmanager as secretsmanager

from cdk_airflow_ecs import (
    AirflowVersion,
    CeleryExecutor,
    EcsExecutor,
    LocalExecutor,
    RedisBroker,
    SeveralExecutors,
    SqsBroker,
)
from synthesis import REPOSITORY, add_cluster, cdk_program, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")


def existing_redis(stack):
    """Celery on a Redis that is there already."""
    token = secretsmanager.Secret.from_secret_name_v2(stack, "Token", "redis/token")
    return CeleryExecutor(broker=RedisBroker.existing("redis.example.com", auth_token=token))


EXECUTORS = {
    "redis": CeleryExecutor(),
    "sqs": CeleryExecutor(broker=SqsBroker()),
    "container": CeleryExecutor(broker=RedisBroker.container()),
    "existing": existing_redis,
    "ecs": EcsExecutor(spot=True),
    "local": LocalExecutor(),
    "several": SeveralExecutors([CeleryExecutor(broker=SqsBroker()), EcsExecutor()]),
}
# Kinds of resources that keep something, or that something kept stands in.
STATEFUL = re.compile(
    r"AWS::(RDS|S3|KMS|SecretsManager|EFS|DynamoDB|SQS|ElastiCache|Logs)::|AWS::EC2::(VPC|Subnet)\b|AWS::ServiceDiscovery::PrivateDnsNamespace"
)
# "[+] AWS::SQS::Queue Airflow/Broker/Queues/default AirflowBroker…", and what becomes of it.
LINE = re.compile(r"^\[([+~-])\] (AWS::\S+|Custom::\S+) (\S+) (\S+)(.*)$", re.MULTILINE)
VERSIONS = {"3.3": AirflowVersion.V3_3, "2.11": AirflowVersion.V2_11}


def arguments(version: str, executor: str):
    """Those of a cluster."""
    return {"version": VERSIONS[version], "executor": EXECUTORS[executor]}


def kept(version: str, executor: str):
    """What keeps something, whole, by logical id, but for the broker's own."""
    # In Airflow 2, the zone is there for the name of a broker in a container alone.
    own = ("AirflowBroker", "AirflowNamespace") if version == "2.11" else ("AirflowBroker",)
    found = template_of(**arguments(version, executor))["Resources"].items()
    return {
        logical_id: resource
        for logical_id, resource in found
        if STATEFUL.match(resource["Type"]) and not logical_id.startswith(own)
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_what_keeps_something_is_the_same_with_each_executor(version):
    """From any executor and broker to any other: database, buckets, keys, secrets, logs and network stay."""
    (first, *others) = (kept(version, executor) for executor in EXECUTORS)
    kinds = {resource["Type"].split("::")[1] for resource in first.values()}
    assert kinds >= {"RDS", "S3", "KMS", "SecretsManager", "Logs", "EC2"}
    for other in others:
        assert other == first


def diff(before, after, folder) -> list[tuple[str, ...]]:
    """Ask ``cdk diff --template`` what a deploy would change: sign, type, path, id and remark of each."""
    template = folder / "before.json"
    template.write_text(json.dumps(before))
    folder = synthesize(lambda app: add_cluster(Stack(app, "Data"), **after)).folder
    answer = subprocess.run(
        [cdk_program(), "--no-notices", "diff", "Data", "--app", folder, "--template", template],
        env={**os.environ, "CDK_DISABLE_CLI_TELEMETRY": "true", "CDK_VALIDATION": "false", "NO_COLOR": "1"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    found = LINE.findall(answer.stdout + answer.stderr)
    assert found, answer.stdout + answer.stderr
    return found


def stores(changes):
    """The changes of what keeps something, but for the broker's own."""
    # What goes has no path any more, but a logical id that is made of it.
    return [
        change
        for change in changes
        if STATEFUL.match(change[1]) and not change[2].replace("/", "").startswith("AirflowBroker")
    ]


@pytest.mark.slow
def test_a_switch_of_executor_touches_no_store_but_the_broker(tmp_path):
    """So says CDK itself, where the broker goes and another and a second executor come."""
    assert stores(diff(template_of(**arguments("3.3", "redis")), arguments("3.3", "several"), tmp_path)) == []


@pytest.mark.slow
def test_a_change_of_a_store_is_seen(tmp_path):
    """What would be a replaced database is seen as one, and nothing else that keeps something in the same switch."""
    template = copy.deepcopy(template_of(**arguments("2.11", "sqs")))
    (database,) = resources(template, "AWS::RDS::DBInstance").values()
    database["Properties"]["DBName"] = "other"
    changes = stores(diff(template, arguments("2.11", "local"), tmp_path))
    assert [(kind, remark) for _, kind, _, _, remark in changes] == [("AWS::RDS::DBInstance", " replace")]
