"""Switching the executor or broker: compared templates, and ``cdk diff``."""

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
    """Return a Celery executor with an existing Redis."""
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
# Types of resources that hold data, or that such resources depend on.
STATEFUL = re.compile(
    r"AWS::(RDS|S3|KMS|SecretsManager|EFS|DynamoDB|SQS|ElastiCache|Logs)::|AWS::EC2::(VPC|Subnet)\b|AWS::ServiceDiscovery::PrivateDnsNamespace"
)
# A line such as "[+] AWS::SQS::Queue Airflow/Broker/Queues/default AirflowBroker…", perhaps with a remark at the end.
LINE = re.compile(r"^\[([+~-])\] (AWS::\S+|Custom::\S+) (\S+) (\S+)(.*)$", re.MULTILINE)
VERSIONS = {"3.3": AirflowVersion.V3_3, "2.11": AirflowVersion.V2_11}


def arguments(version: str, executor: str):
    """Return the arguments of a cluster with this Airflow version and executor."""
    return {"version": VERSIONS[version], "executor": EXECUTORS[executor]}


def kept(version: str, executor: str):
    """Return the resources that hold data, except the broker's, by logical id."""
    # In Airflow 2 only a broker in a container needs the private DNS zone.
    own = ("AirflowBroker", "AirflowNamespace") if version == "2.11" else ("AirflowBroker",)
    found = template_of(**arguments(version, executor))["Resources"].items()
    return {
        logical_id: resource
        for logical_id, resource in found
        if STATEFUL.match(resource["Type"]) and not logical_id.startswith(own)
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_stores_do_not_depend_on_the_executor(version):
    """With every executor, database, buckets, keys, secrets, logs and network are equal."""
    (first, *others) = (kept(version, executor) for executor in EXECUTORS)
    kinds = {resource["Type"].split("::")[1] for resource in first.values()}
    assert kinds >= {"RDS", "S3", "KMS", "SecretsManager", "Logs", "EC2"}
    for other in others:
        assert other == first


def diff(before, after, folder) -> list[tuple[str, ...]]:
    """Return the changes that ``cdk diff --template`` lists: sign, type, path, id and remark."""
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
    """Return the changes of resources that hold data, except the broker's."""
    # A removed resource has no path, but a logical id that starts like it.
    return [
        change
        for change in changes
        if STATEFUL.match(change[1]) and not change[2].replace("/", "").startswith("AirflowBroker")
    ]


@pytest.mark.slow
def test_switching_the_executor_changes_only_the_broker(tmp_path):
    """``cdk diff`` lists no change of other stores."""
    assert stores(diff(template_of(**arguments("3.3", "redis")), arguments("3.3", "several"), tmp_path)) == []


@pytest.mark.slow
def test_a_replaced_database_is_in_the_output_of_cdk_diff(tmp_path):
    """``cdk diff`` lists a replaced database, so the comparison can fail."""
    template = copy.deepcopy(template_of(**arguments("2.11", "sqs")))
    (database,) = resources(template, "AWS::RDS::DBInstance").values()
    database["Properties"]["DBName"] = "other"
    changes = stores(diff(template, arguments("2.11", "local"), tmp_path))
    assert [(kind, remark) for _, kind, _, _, remark in changes] == [("AWS::RDS::DBInstance", " replace")]
