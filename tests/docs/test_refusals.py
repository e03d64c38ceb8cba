"""The documented incompatible arguments equal those that the code rejects."""

from __future__ import annotations

import ast
import re
import traceback
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from aws_cdk import App, CfnParameter, Fn, Size, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns

import cdk_airflow_ecs
from cdk_airflow_ecs import Executor, ExecutorPlan
from docs.pages import page, table
from synthesis import env

pytestmark = pytest.mark.xdist_group("refusals")

PAGE = page("reference/incompatible-arguments.md")
ROWS = [row[0] for section in re.findall("^## .*$", PAGE, re.MULTILINE) for row in table(PAGE, section)[1:]]
FILES = {
    "Dockerfile": "FROM apache/airflow:3.3.2\n",
    "entrypoint.sh": '#!/bin/bash\nexec /entrypoint "$@"\n',
    "requirements.txt": "pandas\n",
}
LOOKUP = "vpc-provider:account=123456789012:filter.vpc-id=vpc-1:region=eu-central-1:returnAsymmetricSubnets=true"
SOURCE = Path(cdk_airflow_ecs.__file__).parent


@dataclass(frozen=True, kw_only=True)
class YourExecutor(Executor):
    """A third-party executor."""

    alias: str | None = None
    stores: dict = field(default_factory=dict)

    def plan(self, context):
        """Return a minimal plan."""
        return ExecutorPlan(class_path="your.Executor", alias=self.alias, stores=self.stores)


def found_vpc() -> dict:
    """Return what a VPC lookup finds."""
    zones = ["eu-central-1a", "eu-central-1b"]
    subnets = [
        {"subnetId": f"s-{zone}", "cidr": "10.0.0.0/24", "availabilityZone": zone, "routeTableId": "r"}
        for zone in zones
    ]
    groups = [{"name": "Private", "type": "Private", "subnets": subnets}]
    return {"vpcId": "vpc-1", "vpcCidrBlock": "10.0.0.0/16", "availabilityZones": [], "subnetGroups": groups}


def names() -> dict:
    """Return the public names, and stand-ins for constructs such as `vpc` that rows refer to."""
    owned = {"ownerAccountId": "999999999999"}
    stack = Stack(App(context={LOOKUP: {**found_vpc(), **owned}}), "Data", env=env())
    zones = ["eu-central-1a", "eu-central-1b"]

    def network(name, zones, cidr="10.0.0.0/16"):
        subnets = [f"{name}-{number}" for number in range(len(zones))]
        return ec2.Vpc.from_vpc_attributes(
            *(stack, name),
            vpc_id=name,
            availability_zones=zones,
            private_subnet_ids=subnets,
            vpc_cidr_block=cidr,
        )

    vpc = network("vpc-1", zones)
    zone_a, zone_b = (ec2.SubnetSelection(availability_zones=[zone]) for zone in zones)
    secret = secretsmanager.Secret.from_secret_name_v2(stack, "Secret", "secret")
    arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    return {
        **{name: getattr(cdk_airflow_ecs, name) for name in cdk_airflow_ecs.__all__},
        **{"YourExecutor": YourExecutor, "secret": secret, "key": ecs.Secret.from_secrets_manager(secret)},
        **{"stack": stack, "ec2": ec2, "vpc": vpc, "zone_a": zone_a, "zone_b": zone_b},
        "shared_vpc": ec2.Vpc.from_lookup(stack, "Shared", vpc_id="vpc-1"),
        **{"large_vpc": network("vpc-2", zones * 2), "vpc_without_cidr": network("vpc-4", zones, None)},
        "vpc_of_lists": ec2.Vpc.from_vpc_attributes(
            *(stack, "Lists"),
            vpc_id="vpc-5",
            vpc_cidr_block="10.0.0.0/16",
            availability_zones=Fn.split(",", Fn.import_value("zones")),
            private_subnet_ids=Fn.split(",", Fn.import_value("subnets")),
        ),
        "subnet": network("vpc-3", zones).private_subnets[0],
        "group": ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-0123456789abcdef0"),
        "instance": rds.DatabaseInstance(stack, "Db", engine=rds.DatabaseInstanceEngine.POSTGRES, vpc=vpc),
        "managed": rds.DatabaseInstance(
            stack, "Managed", engine=rds.DatabaseInstanceEngine.POSTGRES, vpc=vpc, manage_master_user_password=True
        ),
        "imported_cluster": rds.DatabaseCluster.from_database_cluster_attributes(
            stack, "Imported", cluster_identifier="imported"
        ),
        "certificate": acm.Certificate.from_certificate_arn(stack, "Certificate", arn),
        "certificate_elsewhere": acm.Certificate.from_certificate_arn(
            stack, "Elsewhere", arn.replace("eu-central-1", "us-east-1")
        ),
        "zone": route53.HostedZone.from_hosted_zone_attributes(
            stack, "Zone", hosted_zone_id="Z1", zone_name="example.com"
        ),
        "repository": ecr.Repository.from_repository_name(stack, "Repository", "airflow"),
        "bucket": s3.Bucket.from_bucket_name(stack, "Bucket", "logs"),
        "log_group": logs.LogGroup.from_log_group_name(stack, "Logs", "airflow"),
        "requirements": ec2.InstanceRequirementsConfig(v_cpu_count_min=4, memory_min=Size.gibibytes(16)),
        "fifo_topic": sns.Topic(stack, "Fifo", fifo=True),
        "topic_with_aws_key": sns.Topic(
            stack, "Encrypted", master_key=kms.Alias.from_alias_name(stack, "SnsKey", "alias/aws/sns")
        ),
        "topic_elsewhere": sns.Topic.from_topic_arn(stack, "There", "arn:aws:sns:us-east-1:123456789012:alerts"),
        "parameter": CfnParameter(stack, "Parameter", type="Number").value_as_number,
    }


def follow(row: str, given: dict, construct_id: str) -> None:
    """Execute a row of the page in the current folder: create its files and its cluster, then call its methods."""
    codes = re.findall("`([^`]+)`", row)
    calls = [code for code in codes if code.startswith("add_")]
    for before, code in pairwise(codes):
        if code.startswith("airflow/"):
            file = Path(code)
            file.parent.mkdir(parents=True)
            file.write_text(FILES.get(file.name, "") if before == codes[0] else before)
    arguments = "" if codes[0] in calls else codes[0]
    cluster = eval(f"AirflowCluster(stack, {construct_id!r}, {arguments})", given)
    for call in calls:
        eval(f"cluster.{call}", {**given, "cluster": cluster})


@pytest.fixture(scope="module")
def errors(tmp_path_factory) -> dict[str, tuple[str, str, int]]:
    """Return the error of each row, with the source file and line that raise it."""
    given, found = names(), {}
    for number, row in enumerate(ROWS):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path_factory.mktemp("row"))
            try:
                follow(row, given, f"Airflow{number}")
            except ValueError as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                found[row] = str(error), where.filename, where.lineno
    return found


def raised() -> dict[str, range]:
    """Return the file, message and lines of each IncompatibleArgumentsError in the source."""
    return {
        f"{file} {ast.unparse(node.exc.args[0])}": range(node.lineno, node.end_lineno + 1)
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and ast.unparse(node.exc.func) == "IncompatibleArgumentsError"
    }


def test_each_row_of_incompatible_arguments_raises_an_error(errors):
    """The error of each row has a readable message."""
    assert len(ROWS) > 40
    assert [row for row in ROWS if row not in errors] == []
    assert [message for message, _, _ in errors.values() if not re.search(r"\w+ .{20}", message)] == []


def test_each_incompatibility_in_the_source_has_a_row(errors):
    """Each place that raises IncompatibleArgumentsError has a row."""
    reached = {(file, line) for _, file, line in errors.values()}
    places = raised()
    assert len(places) > 70
    assert [p for p, lines in places.items() if not {(p.partition(" ")[0], line) for line in lines} & reached] == []
