"""Examples are far below the limits of AWS, and exceeded limits are found."""

from __future__ import annotations

import json

import pytest

from judges.limits import LIMITS, REFERENCE, exceeded, size, text
from synthesis import EXAMPLES, example

pytestmark = pytest.mark.xdist_group("examples")

ARN = {"Fn::GetAtt": ["Role", "Arn"]}
# An example may use this share of a limit.
SHARE = 0.75
# Limits that the library may use completely, but never exceeds.
FILLED = {"steps of a scaling policy"}


def one(kind: str, **properties) -> dict:
    """Return a template with one resource."""
    return {"Resources": {"One": {"Type": kind, "Properties": properties}}}


def rules(number: int, way: str = "Ingress") -> dict:
    """Return the template of a security group with rules inside it and as separate resources."""
    beside = {
        f"Rule{n}": {
            "Type": f"AWS::EC2::SecurityGroup{way}",
            "Properties": {"GroupId": {"Fn::GetAtt": ["One", "GroupId"]}, "SourceSecurityGroupId": "sg-1"},
        }
        for n in range(number - 1)
    }
    group = one("AWS::EC2::SecurityGroup", **{f"SecurityGroup{way}": [{"CidrIp": "10.0.0.0/8"}]})
    return {"Resources": {**group["Resources"], **beside}}


def policy(letters: int) -> dict:
    """Return a policy document with about this many characters."""
    return {"Statement": [{"Effect": "Allow", "Action": "s3:Get", "Resource": "x" * letters}]}


def task(*containers: dict) -> dict:
    """Return a task definition."""
    return one("AWS::ECS::TaskDefinition", ContainerDefinitions=[{"Name": "one", **more} for more in containers])


def variable(name: str, value: object) -> dict:
    """Return a container with one environment variable."""
    return {"Environment": [{"Name": name, "Value": value}]}


def overriding(letters: int) -> str:
    """Return run_task_kwargs with overrides of this size."""
    return json.dumps({"overrides": {"containerOverrides": [{"environment": [{"name": "A", "value": "x" * letters}]}]}})


def dashboard(*properties: dict) -> dict:
    """Return a dashboard of widgets with these properties."""
    body = {"widgets": [{"properties": each} for each in properties]}
    return one("AWS::CloudWatch::Dashboard", DashboardBody=json.dumps(body))


GROUP = {"Fn::GetAtt": ["One", "GroupId"]}
BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
MANY = {f"R{number}": {"Type": "AWS::SNS::Topic"} for number in range(501)}
SCALING = "AWS::ApplicationAutoScaling"
OVER = {
    "steps of a scaling policy": one(
        f"{SCALING}::ScalingPolicy", StepScalingPolicyConfiguration={"StepAdjustments": [{}] * 21}
    ),
    "scheduled actions of a service": one(f"{SCALING}::ScalableTarget", ScheduledActions=[{}] * 201),
    "characters of an alarm's description": one("AWS::CloudWatch::Alarm", AlarmDescription="x" * 1_025),
    "bytes of a template": {"Resources": {}, "Metadata": "x" * 1_000_000},
    "resources": {"Resources": MANY},
    "outputs": {"Resources": {}, "Outputs": {str(number): {} for number in range(201)}},
    "parameters": {"Resources": {}, "Parameters": {str(number): {} for number in range(201)}},
    "characters of a logical id": {"Resources": {"x" * 256: {"Type": "AWS::SNS::Topic"}}},
    "bytes of a task definition": task(*[variable("A", {"Fn::Join": ["", ["x" * 400, ARN]]})] * 130),
    "containers of a task definition": task(*[{}] * 11),
    "characters of a family": one("AWS::ECS::TaskDefinition", ContainerDefinitions=[], Family="x" * 256),
    "characters of overrides": task(variable("AIRFLOW__AWS_ECS_EXECUTOR__RUN_TASK_KWARGS", overriding(5_000))),
    "characters of a log stream's name": task({"LogConfiguration": {"Options": {"awslogs-stream-prefix": "x" * 480}}}),
    "characters of inline policies of a role": {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyDocument": policy(4_000)}]}},
            "A": {
                "Type": "AWS::IAM::Policy",
                "Properties": {"Roles": [{"Ref": "Role"}], "PolicyDocument": policy(3_100)},
            },
            "B": {
                "Type": "AWS::IAM::Policy",
                "Properties": {"Roles": [{"Ref": "Role"}], "PolicyDocument": policy(3_100)},
            },
        }
    },
    "characters of a trust policy": one("AWS::IAM::Role", AssumeRolePolicyDocument=policy(2_048)),
    "characters of a managed policy": one("AWS::IAM::ManagedPolicy", PolicyDocument=policy(6_144)),
    "managed policies of a role": one("AWS::IAM::Role", ManagedPolicyArns=["a"] * 11),
    "rules of a security group": rules(61),
    "security groups of a network interface": one(BALANCER, SecurityGroups=["sg"] * 6),
    "rules of a network interface": {
        "Resources": {
            **rules(1_001, "Egress")["Resources"],
            "Balancer": {"Type": BALANCER, "Properties": {"SecurityGroups": [GROUP]}},
        }
    },
    "characters of a description": one("AWS::EC2::SecurityGroup", GroupDescription="x" * 256),
    "characters of a rule's description": one(
        "AWS::EC2::SecurityGroupIngress", Description="x" * 256, GroupId=GROUP, CidrIp="10.0.0.0/8"
    ),
    "characters of a load balancer's name": one(BALANCER, Name="x" * 33),
    "characters of a target group's name": one("AWS::ElasticLoadBalancingV2::TargetGroup", Name="x" * 33),
    "values of a listener rule": one(
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a"] * 6}}],
    ),
    "characters of a namespace": one("AWS::ServiceDiscovery::PrivateDnsNamespace", Name=".".join(["x" * 60] * 5)),
    "characters between two dots": one("AWS::ServiceDiscovery::PrivateDnsNamespace", Name=f"{'x' * 64}.internal"),
    "characters of a service's name": one("AWS::ServiceDiscovery::Service", Name="x" * 64),
    "bytes of variables of a function": one("AWS::Lambda::Function", Environment={"Variables": {"A": "x" * 4_097}}),
    "characters of a log group's name": one("AWS::Logs::LogGroup", LogGroupName="x" * 513),
    "bytes of a parameter": one("AWS::SSM::Parameter", Value="x" * 4_097),
    "bytes of a key's policy": one("AWS::KMS::Key", KeyPolicy=policy(32_768)),
    "bytes of a bucket's policy": one("AWS::S3::BucketPolicy", PolicyDocument=policy(20_480)),
    "statements of a queue's policy": one("AWS::SQS::QueuePolicy", PolicyDocument={"Statement": [{}] * 21}),
    "bytes of a queue's policy": one("AWS::SQS::QueuePolicy", PolicyDocument=policy(8_192)),
    "characters of a password": one("AWS::SecretsManager::Secret", GenerateSecretString={"PasswordLength": 4_097}),
    "characters of a secret's description": one("AWS::SecretsManager::Secret", Description="x" * 2_049),
    "nodes of a replication group": one("AWS::ElastiCache::ReplicationGroup", NumCacheClusters=7),
    "days of backups": one("AWS::RDS::DBInstance", BackupRetentionPeriod=36),
    "days of backups of a cluster": one("AWS::RDS::DBCluster", BackupRetentionPeriod=36),
    "subnets of a service": one(
        "AWS::ECS::Service", NetworkConfiguration={"AwsvpcConfiguration": {"Subnets": ["s"] * 17}}
    ),
    "metrics and expressions of an alarm": one("AWS::CloudWatch::Alarm", Metrics=[{}] * 21),
    "actions of an alarm's state": one("AWS::CloudWatch::Alarm", AlarmActions=["a"] * 6),
    "seconds that an alarm evaluates": one("AWS::CloudWatch::Alarm", Period=300, EvaluationPeriods=289),
    "widgets of a dashboard": dashboard(*[{}] * 501),
    "metrics of a dashboard": dashboard({"metrics": [["a"]] * 2_000}, {"metrics": [["a"]] * 501}),
    "alarms of a widget": dashboard({"alarms": ["a"] * 101}),
    "characters of an event pattern": one("AWS::Events::Rule", EventPattern={"source": ["x" * 4_096]}),
    "tags of a resource": one("AWS::SNS::Topic", Tags=[{"Key": str(n), "Value": ""} for n in range(51)]),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_far_below_every_limit(name):
    """Each example is far below every limit."""
    near = [
        f"{stack} {where}: {number:,} of {limit.most:,} {limit.name}"
        for stack, template in example(name).templates.items()
        for limit in LIMITS
        for where, number in limit.count(template)
        if number > limit.most * (1 if limit.name in FILLED else SHARE)
    ]
    assert near == []


def test_the_template_of_the_default_cluster_counts_towards_each_limit():
    """The template of the default cluster counts towards each limit, except the listed ones."""
    (template,) = example("quickstart").templates.values()
    counted = {limit.name for limit in LIMITS if any(number for _, number in limit.count(template))}
    # The default cluster contains nothing that counts towards these limits, such as Aurora or SSM parameters.
    assert {limit.name for limit in LIMITS} - counted == {
        "bytes of a parameter",
        "characters of a load balancer's name",
        "characters of a log group's name",
        "characters of a managed policy",
        "characters of a target group's name",
        "characters of overrides",
        "days of backups of a cluster",
        "steps of a scaling policy",
        "scheduled actions of a service",
        "characters of an alarm's description",
        *("metrics and expressions of an alarm", "actions of an alarm's state", "seconds that an alarm evaluates"),
        *("widgets of a dashboard", "metrics of a dashboard", "alarms of a widget", "characters of an event pattern"),
    }


@pytest.mark.parametrize("limit", LIMITS, ids=[limit.name for limit in LIMITS])
def test_each_exceeded_aws_limit_is_reported_by_name(limit):
    """exceeded() reports each exceeded limit by name."""
    assert any(limit.name in finding for finding in exceeded(OVER[limit.name]))


def test_references_count_as_their_longest_text():
    """A reference counts as its longest possible value."""
    assert text({"Ref": "AWS::Region"}) == "r" * 14
    assert len(text({"Fn::Join": ["-", ["a", {"Ref": "Bucket"}, "b"]]})) == REFERENCE + 4
    assert len(text({"Fn::Sub": "${AWS::AccountId}.dkr.${A}"})) == 12 + 5 + REFERENCE
    assert len(text({"Fn::Sub": ["${A}!", {"A": "abc"}]})) == 4
    assert text({"Fn::If": ["c", "a", "bcd"]}) == "bcd"
    assert size({"a": [{"Ref": "AWS::AccountId"}]}) == len('{"a":["123456789012"]}')
