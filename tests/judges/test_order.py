"""CloudFormation creates and deletes the resources of examples and variants in an order that AWS accepts."""

from __future__ import annotations

import copy
import functools
import json

import pytest
from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from cdk_airflow_ecs import (
    AirflowVersion,
    AuroraDatabase,
    CeleryExecutor,
    ContainerDatabase,
    CpuScaling,
    EcsExecutor,
    LocalExecutor,
    Monitoring,
    QueueScaling,
    RedisBroker,
    S3Dags,
    S3Logs,
    Service,
    SeveralExecutors,
    SqsBroker,
    Web,
    WorkerPool,
)
from judges.order import EMPTIER, GATE, faults
from synthesis import EXAMPLES, REPOSITORY, add_cluster, example, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("examples")

DESTROY = {"removal_policy": RemovalPolicy.DESTROY}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_resources_of_each_example_have_the_required_order(name):
    """faults() reports nothing for the templates of each example."""
    # Stacks without a migration gate contain stand-ins for the user's existing resources.
    clusters = [template for template in example(name).templates.values() if resources(template, GATE)]
    assert clusters
    assert [line for template in clusters for line in faults(template)] == []


def emptied(stack, name):
    """Return a user's bucket that is emptied when its stack is deleted."""
    return s3.Bucket(stack, name, removal_policy=RemovalPolicy.DESTROY, auto_delete_objects=True)


VARIANTS = {
    "destroy": DESTROY,
    "destroy, Airflow 2": {**DESTROY, "version": AirflowVersion.V2_11, "executor": LocalExecutor()},
    "destroy, SQS": {**DESTROY, "executor": CeleryExecutor(broker=SqsBroker())},
    "destroy, ECS tasks on Spot": {**DESTROY, "executor": EcsExecutor(spot=True), "database": AuroraDatabase()},
    "destroy, containers": {
        **DESTROY,
        "database": ContainerDatabase(),
        "executor": CeleryExecutor(broker=RedisBroker.container()),
    },
    "destroy, uploaded DAGs": {**DESTROY, "dags": S3Dags(REPOSITORY / "examples/production/dags")},
    "buckets of the user's": {
        "dags": lambda stack: S3Dags(bucket=emptied(stack, "Dags")),
        "logs": lambda stack: S3Logs(bucket=emptied(stack, "Logs")),
    },
    "VPC of the user's": {"vpc": lambda stack: ec2.Vpc(stack, "Vpc", max_azs=2), "database": AuroraDatabase()},
    "imported VPC": {
        "vpc": lambda stack: ec2.Vpc.from_vpc_attributes(
            stack,
            "Vpc",
            vpc_id="vpc-1",
            vpc_cidr_block="10.0.0.0/16",
            availability_zones=["eu-central-1a", "eu-central-1b"],
            private_subnet_ids=["subnet-1", "subnet-2"],
        )
    },
    "scaling in maintenance": {
        **DESTROY,
        "executor": CeleryExecutor(pools=[WorkerPool("default", scaling=QueueScaling())]),
        "maintenance": True,
    },
    "scaling of API servers": {**DESTROY, "api_server": Service(scaling=CpuScaling(requests_per_target=600))},
    "monitoring, scaled API servers": {
        **DESTROY,
        "monitoring": lambda stack: Monitoring(alarm_topic=sns.Topic(stack, "Topic", enforce_ssl=True)),
        "api_server": Service(scaling=CpuScaling(min_count=1, max_count=4, target_percent=60)),
        "executor": CeleryExecutor(broker=SqsBroker()),
    },
    "on the internet": {"web": Web(internet_facing=True, allow_insecure_http=True, allow_from=["203.0.113.0/24"])},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_resources_of_each_cluster_variant_have_the_required_order(name):
    """faults() reports nothing for the template of each variant."""
    assert faults(template_of(**VARIANTS[name])) == []


@functools.cache
def grown(*, first):
    """Return the template of a cluster with added pools, ECS tasks and grants; with *first*, grants are added first."""

    def build(app):
        stack = Stack(app, "Data")
        executor = SeveralExecutors([CeleryExecutor(), EcsExecutor()])
        cluster = add_cluster(stack, executor=executor, **DESTROY)
        mine = s3.Bucket(stack, "Mine")
        if first:
            mine.grant_read(cluster)
        cluster.add_worker_pool(WorkerPool("heavy", spot=True, scaling=QueueScaling()))
        cluster.add_ecs_task("etl", spot=True, image=ecs.ContainerImage.from_registry("python:3.13"))
        if not first:
            mine.grant_read(cluster)

    return synthesize(build).templates["Data"]


@pytest.mark.parametrize("first", [False, True])
def test_resources_of_added_pools_tasks_and_grants_have_the_required_order(first):
    """faults() reports nothing for a cluster with added worker pools, ECS tasks and grants."""
    template = grown(first=first)
    assert faults(template) == []
    (grants,) = [name for name in resources(template, "AWS::IAM::Policy") if name.startswith("AirflowGrants")]
    assert len(template["Resources"][grants]["Properties"]["Roles"]) == 5


def broken(template, change):
    """Return the order faults of a copy of *template* after *change*."""
    changed = copy.deepcopy(template)
    change(changed["Resources"])
    return faults(changed)


def without_dependencies(*types):
    """Remove the explicit dependencies of resources of *types*."""

    def change(everything):
        for resource in everything.values():
            if resource["Type"] in types:
                resource.pop("DependsOn", None)

    return change


def policy_beside(everything):
    """Move the policies of the gate's role to a policy that nothing depends on."""
    role = next(name for name in everything if name.startswith("AirflowGateHandlerRole"))
    (policy,) = everything[role]["Properties"].pop("Policies")
    everything["Beside"] = {"Type": "AWS::IAM::Policy", "Properties": {**policy, "Roles": [{"Ref": role}]}}


def circle(everything):
    """Add two resources that depend on each other."""
    everything["One"] = {"Type": "AWS::SNS::Topic", "DependsOn": "Two"}
    everything["Two"] = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "${One.TopicName}-2"}}}


def literal_names(everything):
    """Replace the references in scaling resources, which tell CloudFormation the order, by literal names."""
    for resource in everything.values():
        texts = {
            "AWS::ApplicationAutoScaling::ScalableTarget": {"ResourceId": "service/a/b"},
            "AWS::ApplicationAutoScaling::ScalingPolicy": {"ScalingTargetId": "target", "PolicyName": "policy"},
            "AWS::CloudWatch::Alarm": {"AlarmActions": ["arn:aws:autoscaling:…:policyName/policy:policy"]},
        }
        if resource["Type"] in texts:
            resource["Properties"].update(texts[resource["Type"]])
            resource.pop("DependsOn", None)


def unknown(everything):
    """Add a resource of an unknown type that refers to a role."""
    role = next(name for name in everything if "SchedulerExecutionRole" in name and "Policy" not in name)
    arn = {"Fn::GetAtt": [role, "Arn"]}
    everything["New"] = {"Type": "AWS::New::Thing", "Properties": {"RoleArn": arn}}


SERVICE = "AWS::ECS::Service"
BREAKS = {
    "policy beside the function": (policy_beside, ["Beside before AirflowGateHandler", "Beside before AirflowGateMig"]),
    "services": (
        without_dependencies(SERVICE),
        [
            "AirflowGateMigration before AirflowComponentsScheduler",
            "AirflowComponentsSchedulerExecutionRoleDefaultPolicy before AirflowComponentsSchedulerService",
            "AirflowPoolsdefaultTaskRoleDefaultPolicy before AirflowPoolsdefaultService",
            "AirflowVpcPrivateSubnet1DefaultRoute before AirflowComponentsTriggererService",
            "AirflowCluster before AirflowPoolsheavyService",
            "AirflowLogsTasksAutoDeleteObjects before AirflowPoolsdefaultService",
        ],
    ),
    "gate": (
        without_dependencies(GATE),
        [
            "AirflowDatabaseSecurityGroupfromDataAirflowGatePeer before AirflowGateMigration",
            "AirflowGateExecutionRoleDefaultPolicy before AirflowGateMigration",
            "AirflowGateHandOver before AirflowGateMigration",
            "AirflowVpcPrivateSubnet2RouteTableAssociation before AirflowGateMigration",
            "AirflowVpcS3 before AirflowGateMigration",
            "AirflowTasksetlSecurityGroup before AirflowGateMigration",
            "AirflowTasksexecutorTaskRoleDefaultPolicy before AirflowGateMigration",
            "AirflowGrants before AirflowGateMigration",
            "AirflowLogsAccessLogsAutoDeleteObjects before AirflowGateMigration",
        ],
    ),
    "emptiers": (without_dependencies(EMPTIER), ["AirflowLogsTasksPolicy before AirflowLogsTasksAutoDeleteObjects"]),
    "logged buckets": (
        without_dependencies("AWS::S3::Bucket"),
        ["AirflowLogsAccessLogsAutoDeleteObjects before AirflowDagsBucket"],
    ),
    "load balancer": (
        without_dependencies("AWS::ElasticLoadBalancingV2::LoadBalancer"),
        [
            "AirflowLogsAccessLogsPolicy before AirflowWebLoadBalancer",
            "AirflowLogsAccessLogsAutoDeleteObjects before AirflowWebLoadBalancer",
        ],
    ),
    "flow log": (
        without_dependencies("AWS::EC2::FlowLog"),
        ["AirflowVpcFlowLogRoleDefaultPolicy before AirflowVpcFlowLog"],
    ),
    "scaler": (
        literal_names,
        [
            "AirflowPoolsheavyService before AirflowPoolsheavyServiceTaskCountTarget",
            "AirflowPoolsheavyServiceTaskCountTarget before AirflowPoolsheavyServiceTaskCountByQueue",
            "AirflowPoolsheavyServiceTaskCountByQueue before AirflowPoolsheavyServiceTaskCountRequiredWorkers",
        ],
    ),
    "circle": (circle, ["One before One: a circle", "Two before Two: a circle"]),
    "unknown type": (unknown, ["AirflowComponentsSchedulerExecutionRoleDefaultPolicy before New"]),
}


@pytest.mark.parametrize("name", BREAKS)
def test_faults_reports_each_missing_order(name):
    """faults() reports each missing order that a change of the template causes."""
    change, expected = BREAKS[name]
    found = broken(grown(first=True), change)

    def begins(line, words):
        first, second = words.split(" before ")
        one, _, other = line.partition(" before ")
        return one.startswith(first) and other.startswith(second)

    assert [words for words in expected if not any(begins(line, words) for line in found)] == []


def test_faults_does_not_change_the_template():
    """faults() does not change the template."""
    template = template_of()
    before = json.dumps(template)
    faults(template)
    assert json.dumps(template) == before
