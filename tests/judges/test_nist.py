"""docs/concepts/security.md explains the findings of cdk-nag's NIST 800-53 r5 pack."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from cdk_nag import NIST80053R5Checks

from cdk_airflow_ecs import RdsDatabase, RedisBroker, Web
from cdk_airflow_ecs.executors.celery import CeleryExecutor
from docs.pages import page, table
from synthesis import REPOSITORY, Assembly, add_cluster

pytestmark = pytest.mark.xdist_group("examples")

PACK = "NIST.800.53.R5"
ARN = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/airflow/11111111-2222-3333-4444-555555555555"


def findings(folder: Path, build: Callable[[Callable[..., App]], object]) -> dict[str, set[str]]:
    """Return the findings in the app that *build* synthesizes: by rule, the paths of the constructs."""

    def make(**arguments) -> App:
        app = App(outdir=str(folder), **arguments)
        Validations.of(app).add_plugins(NIST80053R5Checks(app))
        return app

    with contextlib.suppress(RuntimeError):  # CDK raises this error if there are findings
        build(make)
    (report,) = (report for report in Assembly(folder).reports if report["pluginName"] == PACK)
    return {
        violation["ruleName"].removeprefix(f"{PACK}-"): {
            construct["constructPath"] for construct in violation["violatingConstructs"]
        }
        for violation in report["violations"]
    }


def production(make: Callable[..., App]) -> None:
    """Run the production example with the context of its cdk.json."""
    folder = REPOSITORY / "examples/production"
    context = json.loads((folder / "cdk.json").read_text()).get("context", {})
    with mock.patch("aws_cdk.App", functools.partial(make, context=context)):
        runpy.run_path(str(folder / "app.py"))


def with_everything(make: Callable[..., App]) -> None:
    """Create a cluster with every argument that the NIST table in security.md suggests."""
    app = make()
    stack = Stack(app, "Data")
    subnets = [
        ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC, map_public_ip_on_launch=False),
        ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
    ]
    add_cluster(
        stack,
        vpc=ec2.Vpc(
            stack,
            "Vpc",
            restrict_default_security_group=True,
            subnet_configuration=subnets,
            flow_logs={"All": ec2.FlowLogOptions()},
        ),
        encryption_key=kms.Key(stack, "Key", enable_key_rotation=True),
        database=RdsDatabase(),
        executor=CeleryExecutor(broker=RedisBroker(replicas=1, snapshot_retention_days=15)),
        web=Web(web_acl=ARN, deletion_protection=True),
    )
    app.synth()


ROWS = table(page("concepts/security.md"), "What the NIST 800-53 r5 pack finds")[1:]


def test_the_nist_table_has_the_findings_of_the_production_example(tmp_path):
    """The table in security.md has exactly the findings of the production example."""
    assert sorted(findings(tmp_path, production)) == sorted(row[0] for row in ROWS)


def test_the_arguments_in_the_nist_table_remove_the_findings(tmp_path):
    """With the arguments that the table suggests, the cluster has no findings of the table's rules."""
    named = {row[0] for row in ROWS if re.search(r"`(Web|RedisBroker|vpc|encryption_key)\b", row[2])}
    assert named == {
        "ALBWAFEnabled",
        "ELBDeletionProtectionEnabled",
        "ElastiCacheRedisClusterAutomaticBackup",
        "S3DefaultEncryptionKMS",
    }
    left = findings(tmp_path, with_everything)
    assert len(left) > 5
    # Load balancers cannot write access logs to a bucket that a customer managed key encrypts.
    assert left.pop("S3DefaultEncryptionKMS") == {"Data/Airflow/Logs/AccessLogs/Resource"}
    assert named & left.keys() == set()
