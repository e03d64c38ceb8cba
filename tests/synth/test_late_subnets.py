"""Lists of subnets and zones that are known only at deploy time."""

from __future__ import annotations

import json

import pytest
from aws_cdk import CfnParameter, Fn, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ssm as ssm

from cdk_airflow_ecs import (
    AuroraDatabase,
    CeleryExecutor,
    ContainerDatabase,
    EcsExecutor,
    LocalExecutor,
    RedisBroker,
    SeveralExecutors,
)
from synthesis import add_cluster, resources, synthesize

pytestmark = pytest.mark.xdist_group("synth")

STACK, SUBNETS = "Data", ["subnet-a", "subnet-b", "subnet-c"]
SOURCES = {
    "import": lambda stack, name: Fn.split(",", Fn.import_value(name)),
    "parameter": lambda stack, name: (
        CfnParameter(stack, f"{name}Parameter", type="List<AWS::EC2::Subnet::Id>").value_as_list
    ),
    "SSM": lambda stack, name: ssm.StringListParameter.value_for_typed_list_parameter(stack, f"/network/{name}"),
}


def late_vpc(stack, source="import", **attributes):
    """Return a VPC whose lists of subnets have unknown lengths."""
    zones = Fn.split(",", Fn.import_value("zones"))
    ids = {"private_subnet_ids": SOURCES[source](stack, "private")} | attributes
    return ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id=Fn.import_value("vpc"),
        vpc_cidr_block="10.0.0.0/16",
        availability_zones=zones,
        **ids,
    )


def deployed(value):
    """Resolve *value* as CloudFormation does: private subnets to SUBNETS, other references to "other"."""
    if isinstance(value, list):
        return [deployed(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return separator.join(deployed(parts))
    if "Fn::Split" in value:
        return deployed(value["Fn::Split"][1]).split(value["Fn::Split"][0])
    name = str(value.get("Ref", value.get("Fn::ImportValue", "other")))
    if "private" in name:
        return ",".join(SUBNETS) if "Fn::ImportValue" in value else SUBNETS
    return "other"


def variable(template, container, name):
    """Return a container's environment variable as deployed."""
    (found,) = (
        deployed(each["Value"])
        for task in resources(template, "AWS::ECS::TaskDefinition").values()
        for definition in task["Properties"]["ContainerDefinitions"]
        if definition["Name"] == container
        for each in definition["Environment"]
        if each["Name"] == name
    )
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_services_tasks_and_stores_use_all_subnets_of_a_list_token(source):
    """The migration gate and the load balancer use all subnets as well."""

    def build(app):
        stack = Stack(app, STACK)
        cluster = add_cluster(
            stack,
            vpc=late_vpc(stack, source),
            executor=SeveralExecutors([CeleryExecutor(broker=RedisBroker(replicas=1)), EcsExecutor()]),
            database=AuroraDatabase(readers=1),
        )
        cluster.add_ecs_task("etl")
        problems = [entry.data for node in app.node.find_all() for entry in node.node.metadata if "error" in entry.type]
        assert problems == []

    template = synthesize(build).templates[STACK]
    (function,) = resources(template, "AWS::Lambda::Function").values()
    assert deployed(function["Properties"]["Environment"]["Variables"]["SUBNETS"]).split(",") == SUBNETS
    assert variable(template, "scheduler", "AIRFLOW__AWS_ECS_EXECUTOR__SUBNETS").split(",") == SUBNETS
    network = json.loads(variable(template, "worker", "AIRFLOW_VAR_ECS_ETL"))["network_configuration"]
    assert network["awsvpcConfiguration"]["subnets"] == SUBNETS
    found = {
        kind: [deployed(_subnets(resource["Properties"])) for resource in resources(template, kind).values()]
        for kind in (
            "AWS::ECS::Service",
            "AWS::RDS::DBSubnetGroup",
            "AWS::ElastiCache::SubnetGroup",
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
        )
    }
    assert all(lists and all(each == SUBNETS for each in lists) for lists in found.values()), found


def _subnets(properties):
    network = properties.get("NetworkConfiguration", {}).get("AwsvpcConfiguration", properties)
    return next(network[name] for name in ("Subnets", "SubnetIds") if name in network)


def test_a_file_system_requires_known_subnets():
    """Each mount target needs one subnet, so a list token is rejected."""

    def build(app):
        stack = Stack(app, STACK)
        add_cluster(stack, vpc=late_vpc(stack), database=ContainerDatabase(), executor=LocalExecutor())

    with pytest.raises(ValueError, match=r"store_subnets=ec2\.SubnetSelection\(subnets=\[ec2\.Subnet"):
        synthesize(build)


def test_a_file_system_has_a_mount_target_in_each_chosen_subnet():
    """store_subnets= selects the subnets of the mount targets."""

    def build(app):
        stack = Stack(app, STACK)
        ids = Fn.split(",", Fn.import_value("private"))
        chosen = [
            ec2.Subnet.from_subnet_attributes(
                stack,
                f"Store{number}",
                subnet_id=Fn.select(number, ids),
                availability_zone=Fn.select(number, Fn.split(",", Fn.import_value("zones"))),
            )
            for number in range(2)
        ]
        add_cluster(
            stack,
            vpc=late_vpc(stack),
            database=ContainerDatabase(),
            executor=LocalExecutor(),
            store_subnets=ec2.SubnetSelection(subnets=chosen),
        )

    targets = resources(synthesize(build).templates[STACK], "AWS::EFS::MountTarget").values()
    assert [target["Properties"]["SubnetId"]["Fn::Select"][0] for target in targets] == [0, 1]


def test_a_file_system_accepts_known_subnets_in_unknown_zones():
    """Known subnets may be in unknown zones."""

    def build(app):
        stack = Stack(app, STACK)
        vpc = late_vpc(stack, private_subnet_ids=SUBNETS)
        add_cluster(stack, vpc=vpc, database=ContainerDatabase(), executor=LocalExecutor())

    targets = resources(synthesize(build).templates[STACK], "AWS::EFS::MountTarget").values()
    assert [target["Properties"]["SubnetId"] for target in targets] == SUBNETS


def test_cidr_blocks_of_the_load_balancer_may_be_a_list_token():
    """The API server trusts the load balancer's CIDR blocks, even from a list token."""

    def build(app):
        stack = Stack(app, STACK)
        blocks = Fn.split(",", Fn.import_value("private-blocks"))
        add_cluster(stack, vpc=late_vpc(stack, private_subnet_ipv4_cidr_blocks=blocks), executor=LocalExecutor())

    template = synthesize(build).templates[STACK]
    assert '"private-blocks"' in json.dumps(template)
    assert "Token[" not in json.dumps(template)
