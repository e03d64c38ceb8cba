"""What the real ``cdk diff`` says of a cluster whose executor or broker changes."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from cdk_airflow_ecs import (
    AirflowVersion,
    CeleryExecutor,
    EcsExecutor,
    LocalExecutor,
    SeveralExecutors,
    SqsBroker,
)
from synthesis import REPOSITORY, add_cluster, synthesize

pytestmark = [pytest.mark.xdist_group("synth"), pytest.mark.slow]

EXECUTORS = {
    "redis": CeleryExecutor(),
    "sqs": CeleryExecutor(broker=SqsBroker()),
    "ecs": EcsExecutor(spot=True),
    "local": LocalExecutor(),
    "several": SeveralExecutors([CeleryExecutor(broker=SqsBroker()), EcsExecutor()]),
}
SWITCHES = [
    ("3.3", "redis", "sqs"),
    ("2.11", "redis", "ecs"),
    ("2.11", "sqs", "redis"),
    ("3.3", "sqs", "local"),
    ("3.3", "ecs", "several"),
]
# Kinds of resources that keep something, or that something kept stands in.
STATEFUL = re.compile(
    r"AWS::(RDS|S3|KMS|SecretsManager|EFS|DynamoDB|SQS|ElastiCache|Logs)::|AWS::EC2::(VPC|Subnet)\b|AWS::ServiceDiscovery::PrivateDnsNamespace"
)
# "[+] AWS::SQS::Queue Airflow/Broker/Queues/default AirflowBroker…", and what becomes of it.
LINE = re.compile(r"^\[([+~-])\] (AWS::\S+|Custom::\S+) (\S+) (\S+)(.*)$", re.MULTILINE)


def synthesized(version: str, executor: str):
    """An assembly of one stack named Data."""

    def build(app):
        from aws_cdk import Stack

        add_cluster(Stack(app, "Data"), version=AirflowVersion.of(version), executor=EXECUTORS[executor])

    return synthesize(build)


def diff(before, after, folder) -> list[tuple[str, ...]]:
    """Ask ``cdk diff --template`` what a deploy of *after* would change: sign, type, path, id and remark of each."""
    template = folder / "before.json"
    template.write_text(json.dumps(before.templates["Data"]))
    answer = subprocess.run(
        ["npx", "--yes", "aws-cdk@2", "--no-notices", "diff", "Data", "--app", after.folder, "--template", template],
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


@pytest.mark.parametrize(("version", "one", "other"), SWITCHES)
def test_a_switch_of_executor_touches_no_store_but_the_broker(tmp_path, version, one, other):
    """Database, buckets, keys, secrets, logs and network stay as they are; the broker's own things come and go."""
    for change in diff(synthesized(version, one), synthesized(version, other), tmp_path):
        # What goes has no path any more, but a logical id that is made of it.
        if STATEFUL.match(change[1]):
            assert change[2].replace("/", "").startswith("AirflowBroker"), change


def test_the_test_sees_a_change_of_a_store(tmp_path):
    """What would be a replaced database is seen as one."""
    before, after = synthesized("3.3", "redis"), synthesized("3.3", "sqs")
    template = json.loads(json.dumps(before.templates["Data"]))
    (database,) = (r for r in template["Resources"].values() if r["Type"] == "AWS::RDS::DBInstance")
    database["Properties"]["DBName"] = "other"

    class Changed:
        templates = {"Data": template}

    changes = diff(Changed, after, tmp_path)
    assert [remark for _, kind, path, _, remark in changes if kind == "AWS::RDS::DBInstance"] == [" replace"]
