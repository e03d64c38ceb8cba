"""Clusters in one stack or VPC, in nested stacks, stages and partitions, and across stacks."""

from __future__ import annotations

import json
import re

import pytest
from aws_cdk import NestedStack, Stack, Stage
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_deployment as deployment

from cdk_airflow_ecs import AirflowVersion, CeleryExecutor, ExistingDatabase, LocalExecutor, S3Dags, S3Logs
from synthesis import REPOSITORY, Assembly, add_cluster, env, flat, references, resources, strings, synthesize

pytestmark = pytest.mark.xdist_group("synth")

DAGS = REPOSITORY / "examples/production/dags"
STACK, INGRESS = "Data", "AWS::EC2::SecurityGroupIngress"


def namespaces(assembly: Assembly) -> list[str]:
    """Return the names of all private DNS zones."""
    return [
        namespace["Properties"]["Name"]
        for template in assembly.templates.values()
        for namespace in resources(template, "AWS::ServiceDiscovery::PrivateDnsNamespace").values()
    ]


def statements(template) -> list[dict]:
    """Return every statement of all role policies."""
    policies = resources(template, "AWS::IAM::Policy").values()
    return [statement for policy in policies for statement in policy["Properties"]["PolicyDocument"]["Statement"]]


def dependencies(assembly: Assembly) -> dict[str, set[str]]:
    """Return the stacks that each stack depends on."""
    stacks = {
        name: artifact
        for name, artifact in assembly.artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    return {name: {*artifact["dependencies"]} & {*stacks} for name, artifact in stacks.items()}


def test_two_clusters_in_one_stack_share_only_a_function_of_cdk():
    """Two clusters in one stack share only CDK's function that closes default security groups."""

    def build(app):
        stack = Stack(app, STACK)
        add_cluster(stack, "First")
        add_cluster(stack, "Second")

    assembly = synthesize(build, nag=True)
    template = assembly.templates[STACK]
    common = "CustomVpcRestrictDefaultSG"
    own = {name: each for name, each in template["Resources"].items() if not name.startswith(common)}
    shared = [
        name
        for name, resource in own.items()
        if not name.startswith(("First", "Second"))
        or {other[:5] for other in references(resource) if not other.startswith(("AWS::", common))} - {name[:5]}
    ]
    assert shared == []
    first, second = namespaces(assembly)
    assert first != second
    assert assembly.nag["violations"] == []


def families(assembly):
    """Return the families of all task definitions."""
    return {
        definition["Properties"]["Family"]
        for template in assembly.templates.values()
        for definition in resources(template, "AWS::ECS::TaskDefinition").values()
    }


def test_two_clusters_in_one_vpc_have_different_private_dns_zones():
    """The names of their private DNS zones differ."""

    def build(app):
        vpc = ec2.Vpc(Stack(app, "Network"), "Vpc")
        for name in ("First", "Second"):
            add_cluster(Stack(app, name), vpc=vpc)

    first, second = namespaces(synthesize(build))
    assert first != second


def test_another_stack_name_changes_only_dns_zone_task_families_and_snapshots():
    """The DNS zone is the private zone of the cluster."""

    def deploy(name):
        return synthesize(lambda app: add_cluster(Stack(app, STACK, stack_name=name)).add_ecs_task("etl"))

    blue, green = deploy("blue"), deploy("green")
    assert namespaces(blue) != namespaces(green)
    (one,), (other,) = namespaces(blue), namespaces(green)
    assert families(blue) & families(green) == set()

    def common(assembly, zone, stack):
        digest = zone.split(".")[0].rpartition("-")[2]
        text = json.dumps(assembly.templates)
        # Snapshots before migrations have the same digest in their names.
        return text.replace(zone, "").replace(f"{stack}-Airflow-{digest}-", "").replace(f"airflow-{digest}", "")

    assert common(blue, one, "blue") == common(green, other, "green")
    assert namespaces(blue) == namespaces(deploy("blue"))


def test_a_cluster_in_a_nested_stack_has_a_dns_zone_name_without_a_token():
    """The name of the private DNS zone is known at synthesis."""
    assembly = synthesize(lambda app: add_cluster(NestedStack(Stack(app, STACK), "Nested")), nag=True)
    (nested,) = (template for name, template in assembly.templates.items() if name != STACK)
    assert len(resources(nested, "AWS::ECS::Service")) == 5
    assert assembly.nag["violations"] == []
    (name,) = namespaces(assembly)
    assert name.endswith(".airflow.internal")


def test_clusters_with_equal_ids_in_two_nested_stacks_have_two_dns_zones():
    """The names of their private DNS zones differ."""

    def build(app):
        stack = Stack(app, STACK)
        for name in ("First", "Second"):
            add_cluster(NestedStack(stack, name))

    assembly = synthesize(build)
    first, second = namespaces(assembly)
    assert first != second
    assert len(families(assembly)) == 12


def test_long_stack_names_give_valid_and_unique_task_families():
    """Long names of stack and cluster give valid and unique task families."""
    assembly = synthesize(
        lambda app: [
            add_cluster(Stack(app, "One", stack_name="s" * 128), "Cluster" * 20),
            add_cluster(Stack(app, "Other", stack_name="s" * 127 + "t"), "Cluster" * 20),
        ]
    )
    found = families(assembly)
    assert len(found) == 12
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,255}", family) for family in found)


def test_a_cluster_in_two_stages_has_the_same_logical_ids():
    """The names of the private DNS zones differ between the two stages."""

    def build(app):
        for name in ("Test", "Production"):
            add_cluster(Stack(Stage(app, name), STACK))

    assembly = synthesize(build)
    test, production = assembly.templates.values()
    keeps = ("AWS::RDS::DBInstance", "AWS::S3::Bucket", "AWS::SecretsManager::Secret", "AWS::KMS::Key")
    assert [*resources(test, *keeps)] == [*resources(production, *keeps)]
    first, second = namespaces(assembly)
    assert first != second


def test_with_account_and_region_cdk_looks_up_only_availability_zones():
    """With account and region, CDK looks up only the availability zones."""
    assembly = synthesize(lambda app: add_cluster(Stack(app, STACK, env=env())), nag=True)
    assert assembly.nag["violations"] == []
    # CDK's own VPC construct needs the availability zones.
    missing = json.loads((assembly.folder / "manifest.json").read_text())["missing"]
    assert [question["provider"] for question in missing] == ["availability-zones"]


@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("cn-north-1", "amazonaws.com.cn"),
        ("us-gov-west-1", "amazonaws.com"),
        ("eu-central-1", "amazonaws.com"),
    ],
)
@pytest.mark.parametrize("version", [AirflowVersion.V3_3, AirflowVersion.V2_11], ids=str)
def test_china_and_govcloud_have_the_right_service_names(region, suffix, version):
    """China and GovCloud have the right partition and service names."""
    assembly = synthesize(lambda app: add_cluster(Stack(app, STACK, env=env(region)), version=version))
    there = {"AWS::Region": region, "AWS::URLSuffix": suffix, "AWS::Partition": "the-partition"}
    texts = strings(flat(assembly.templates[STACK], there))
    arns = [text for text in texts if text.startswith("arn:")]
    # "${AWS" is in an Fn::Sub of a function that CDK adds.
    assert {arn.split(":")[1] for arn in arns} == {"the-partition", "${AWS"}
    services = {text for text in texts if "amazonaws.com" in text and " " not in text and "/" not in text}
    expected = {
        "ecs-tasks.amazonaws.com",
        "lambda.amazonaws.com",
        "monitoring.rds.amazonaws.com",
        "vpc-flow-logs.amazonaws.com",
        "logging.s3.amazonaws.com",
        "logdelivery.elasticloadbalancing.amazonaws.com",
        f"logs.{region}.{suffix}",
        f"secretsmanager.{region}.amazonaws.com*",
    }
    assert services == expected


def other_stacks(app):
    """Return a network, a database, a bucket and a key of separate stacks."""
    vpc = ec2.Vpc(Stack(app, "Network"), "Vpc")
    keys = Stack(app, "Keys")
    database = rds.DatabaseInstance(
        Stack(app, "Database"),
        "Database",
        engine=rds.DatabaseInstanceEngine.POSTGRES,
        vpc=vpc,
        credentials=rds.Credentials.from_generated_secret("airflow", encryption_key=kms.Key(keys, "DatabaseKey")),
    )
    store = Stack(app, "Storage")
    bucket = s3.Bucket(store, "Bucket", encryption=s3.BucketEncryption.KMS)
    return vpc, database, bucket, kms.Key(keys, "Key")


@pytest.mark.parametrize("references", ["strong", "weak"])
def test_the_stack_of_the_cluster_depends_on_those_of_its_resources(references):
    """The stacks of network, database, bucket and key do not depend on the cluster's stack."""

    def build(app):
        vpc, database, bucket, key = other_stacks(app)
        cluster = add_cluster(
            Stack(app, STACK),
            vpc=vpc,
            database=ExistingDatabase(database),
            dags=S3Dags(DAGS, bucket=bucket, prefix="dags"),
            logs=S3Logs(bucket=bucket),
            encryption_key=key,
        )
        warehouse = rds.DatabaseCluster(
            Stack(app, "Warehouse"),
            "Warehouse",
            engine=rds.DatabaseClusterEngine.aurora_postgres(version=rds.AuroraPostgresEngineVersion.of("17.4", "17")),
            vpc=vpc,
            writer=rds.ClusterInstance.serverless_v2("Writer"),
        )
        lake = s3.Bucket(Stack(app, "Lake"), "Lake", encryption=s3.BucketEncryption.KMS)
        lake.grant_read(cluster)
        cluster.connections.allow_to_default_port(warehouse)

    assembly = synthesize(build, context={"@aws-cdk/core:defaultCrossStackReferences": references})
    found = dependencies(assembly)
    if references == "strong":
        assert {"Network", "Database", "Storage", "Keys", "Warehouse", "Lake"} == found[STACK]
    assert not any(STACK in needed for needed in found.values())
    template = assembly.templates[STACK]
    of_others = [
        rule
        for rule in resources(template, INGRESS).values()
        if not references_inside(rule["Properties"]["GroupId"], template)
    ]
    admitted = sorted(rule["Properties"]["Description"] for rule in of_others)
    # Security groups in other stacks have rules for the database's clients and the components that run user code.
    assert admitted.count("Metadata database") == 5
    assert len(admitted) == 5 + 3
    # The port is that of the database, not the default.
    ports = [rule["Properties"]["FromPort"] for rule in of_others if "Metadata" in rule["Properties"]["Description"]]
    values = [
        variable["Value"]
        for task in resources(template, "AWS::ECS::TaskDefinition").values()
        for variable in task["Properties"]["ContainerDefinitions"][0]["Environment"]
        if variable["Name"] == "METADATA_PORT"
    ]
    (port,) = {str(flat(value)) for value in (*ports, *values)}
    assert port != "5432"


def references_inside(value, template) -> bool:
    """Return whether *value* refers to a resource of *template*."""
    return bool(references(value) & {*template["Resources"]})


def test_readers_and_writers_of_a_bucket_may_use_its_key():
    """Roles that read or write a bucket may use the KMS key of the bucket."""

    def build(app):
        stack = Stack(app, STACK)
        dags = s3.Bucket(stack, "DagFiles", encryption=s3.BucketEncryption.KMS)
        logs = s3.Bucket(stack, "TaskLogs", encryption=s3.BucketEncryption.KMS)
        add_cluster(stack, dags=S3Dags(bucket=dags), logs=S3Logs(bucket=logs))

    template = synthesize(build).templates[STACK]
    allowed = set()
    for policy in resources(template, "AWS::IAM::Policy").values():
        (role,) = (reference["Ref"] for reference in policy["Properties"]["Roles"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            for key in references(statement["Resource"]):
                if key.startswith(("DagFilesKey", "TaskLogsKey")):
                    action = statement["Action"]
                    used = (action,) if isinstance(action, str) else tuple(action)
                    allowed.add((role.removeprefix("Airflow").partition("TaskRole")[0], key[:8], used))
    read, write = ("kms:Decrypt",), ("kms:Decrypt", "kms:GenerateDataKey")
    assert allowed == {
        ("ComponentsApiServer", "TaskLogs", read),
        ("ComponentsDagProcessor", "DagFiles", read),
        ("ComponentsTriggerer", "TaskLogs", write),
        ("Poolsdefault", "DagFiles", read),
        ("Poolsdefault", "TaskLogs", write),
    }


@pytest.mark.parametrize("executor", [CeleryExecutor(), LocalExecutor()], ids=["Celery", "Local"])
def test_grants_to_the_cluster_apply_to_roles_that_run_user_code(executor):
    """The scheduler's role is one of them only with LocalExecutor."""

    def build(app):
        stack = Stack(app, STACK)
        s3.Bucket(Stack(app, "Lake"), "Lake").grant_read(add_cluster(stack, executor=executor))

    template = synthesize(build).templates[STACK]
    (policy,) = (policy for name, policy in resources(template, "AWS::IAM::Policy").items() if "Grants" in name)
    roles = {role["Ref"].removeprefix("Airflow").partition("TaskRole")[0] for role in policy["Properties"]["Roles"]}
    authors = "Poolsdefault" if isinstance(executor, CeleryExecutor) else "ComponentsScheduler"
    assert {"ComponentsDagProcessor", "ComponentsTriggerer", authors} == roles


@pytest.mark.parametrize("public", [True, False])
def test_tasks_have_public_addresses_only_in_public_subnets(public):
    """Tasks have public addresses only in public subnets."""

    def build(app):
        stack = Stack(app, STACK)
        kind = ec2.SubnetType.PUBLIC if public else ec2.SubnetType.PRIVATE_WITH_EGRESS
        subnets = ec2.SubnetSelection(subnet_type=kind)
        add_cluster(stack, vpc=ec2.Vpc(stack, "Vpc"), task_subnets=subnets, store_subnets=subnets)

    template = synthesize(build).templates[STACK]
    addresses = [
        service["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"]
        for service in resources(template, "AWS::ECS::Service").values()
    ]
    (function,) = resources(template, "AWS::Lambda::Function").values()
    addresses.append(function["Properties"]["Environment"]["Variables"]["ASSIGN_PUBLIC_IP"])
    assert ["ENABLED" if public else "DISABLED"] * 6 == addresses


def test_tasks_in_public_subnets_of_the_created_vpc_have_public_addresses():
    """In this test, the cluster creates the VPC."""
    assembly = synthesize(
        lambda app: add_cluster(Stack(app, STACK), task_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC))
    )
    services = resources(assembly.templates[STACK], "AWS::ECS::Service").values()
    assert {"ENABLED"} == {
        service["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] for service in services
    }


def test_bucket_deployments_of_the_user_are_unchanged():
    """A bucket deployment of the user keeps its dependencies."""

    def build(app):
        stack = Stack(app, STACK)
        source = deployment.Source.data("index.html", "hello")
        bucket = s3.Bucket(stack, "Site")
        deployment.BucketDeployment(stack, "Deploy", sources=[source], destination_bucket=bucket)
        add_cluster(stack, dags=S3Dags(DAGS))

    functions = resources(synthesize(build).templates[STACK], "AWS::Lambda::Function")
    waits = ["DependsOn" in each for name, each in functions.items() if "BucketDeployment" in name]
    assert sorted(waits) == [False, True]
