"""Limits of AWS, checked on a template.

References count as the longest text that AWS returns for them.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Template = dict[str, Any]
Sized = Iterable[tuple[str, int]]

# Lengths of the longest values: PSEUDO for pseudo parameters, REFERENCE (an ARN or endpoint) for all other references.
PSEUDO = {"AWS::Region": 14, "AWS::AccountId": 12, "AWS::Partition": 10, "AWS::URLSuffix": 16, "AWS::StackName": 128}
REFERENCE = 128
# Bytes of the command that the amazon provider's ECS executor adds to RunTask: a task instance as JSON with token, ids
# and bundle. This estimate is half of what RunTask accepts.
EXECUTOR_COMMAND = 4_096


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of AWS.

    Args:
        name: what is counted.
        most: the maximum.
        source: the page with the limit.
        count: returns the number for each part of a template.
    """

    name: str
    most: int
    source: str
    count: Callable[[Template], Sized]


def exceeded(template: Template) -> list[str]:
    """Return a message for each exceeded limit."""
    return [
        f"{where}: {number:,} of {limit.most:,} {limit.name} ({limit.source})"
        for limit in LIMITS
        for where, number in limit.count(template)
        if number > limit.most
    ]


def text(node: Any) -> str:
    """Return the longest text that a part of a template can have."""
    if isinstance(node, dict) and len(node) == 1:
        ((name, value),) = node.items()
        if name == "Ref":
            return "r" * PSEUDO.get(value, REFERENCE)
        if name == "Fn::Join":
            return value[0].join(map(text, value[1])) if isinstance(value[1], list) else "r" * REFERENCE
        if name == "Fn::Sub":
            pattern, given = value if isinstance(value, list) else (value, {})
            return re.sub(
                r"\$\{([^!}]+)\}",
                lambda found: text(given[found[1]]) if found[1] in given else "r" * PSEUDO.get(found[1], REFERENCE),
                pattern,
            )
        if name == "Fn::If":
            return max(map(text, value[1:]), key=len)
        if name.startswith("Fn::"):
            return "r" * REFERENCE
    return node if isinstance(node, str) else json.dumps(resolved(node), separators=(",", ":"))


def resolved(node: Any) -> Any:
    """Replace every reference in *node* with its longest text."""
    if isinstance(node, dict):
        if len(node) == 1 and next(iter(node)).startswith(("Ref", "Fn::")):
            return text(node)
        return {key: resolved(value) for key, value in node.items()}
    return [resolved(value) for value in node] if isinstance(node, list) else node


def size(node: Any) -> int:
    """Return the bytes of *node* as text, or as compact JSON if it is not text."""
    value = resolved(node)
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(written.encode())


def _resources(template: Template, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield name, resource.get("Properties", {})


def _of(kind: str, *path: str, measure: Callable[[Any], int] = size) -> Callable[[Template], Sized]:
    """Return a function that measures a property of each resource of *kind*; "*" in *path* is every entry of a list."""

    def at(node: Any, path: tuple[str, ...]) -> Iterator[Any]:
        if not path:
            yield node
        elif path[0] == "*":
            for part in node if isinstance(node, list) else ():
                yield from at(part, path[1:])
        elif isinstance(node, dict) and path[0] in node:
            yield from at(node[path[0]], path[1:])

    def count(template: Template) -> Sized:
        for name, properties in _resources(template, kind):
            yield from ((f"{name} {'.'.join(path)}", measure(part)) for part in at(properties, path))

    return count


def _role(reference: Any) -> str:
    return next(iter(reference.values())) if isinstance(reference, dict) else reference


def _inline_policies(template: Template) -> Sized:
    """Return the size of each role's policies, as IAM counts it."""
    total: dict[str, int] = defaultdict(int)
    for name, properties in _resources(template, "AWS::IAM::Role"):
        total[name] += sum(size(policy["PolicyDocument"]) for policy in properties.get("Policies", ()))
    for _, properties in _resources(template, "AWS::IAM::Policy"):
        for reference in properties.get("Roles", ()):
            total[_role(reference)] += size(properties["PolicyDocument"])
    return total.items()


def _group(reference: Any) -> str:
    if isinstance(reference, dict) and "Fn::GetAtt" in reference:
        return reference["Fn::GetAtt"][0]
    return json.dumps(reference)


def _rules(template: Template) -> dict[tuple[str, str, int], int]:
    found: dict[tuple[str, str, int], int] = defaultdict(int)

    def add(group: str, way: str, rule: dict[str, Any]) -> None:
        for version, own in ((4, "CidrIp"), (6, "CidrIpv6")):
            # A rule with a security group or prefix list counts for both IPv4 and IPv6.
            if own in rule or not {"CidrIp", "CidrIpv6"} & rule.keys():
                found[group, way, version] += 1

    for name, properties in _resources(template, "AWS::EC2::SecurityGroup"):
        for way in ("Ingress", "Egress"):
            for rule in properties.get(f"SecurityGroup{way}", ()):
                add(name, way, rule)
    for way in ("Ingress", "Egress"):
        for _, properties in _resources(template, f"AWS::EC2::SecurityGroup{way}"):
            add(_group(properties["GroupId"]), way, properties)
    return found


def _rules_of_groups(template: Template) -> Sized:
    return [(f"{group} {way} IPv{version}", number) for (group, way, version), number in _rules(template).items()]


GROUPS = {
    "AWS::ECS::Service": ("NetworkConfiguration", "AwsvpcConfiguration", "SecurityGroups"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("SecurityGroups",),
    "AWS::RDS::DBInstance": ("VPCSecurityGroups",),
    "AWS::RDS::DBCluster": ("VpcSecurityGroupIds",),
    "AWS::ElastiCache::ReplicationGroup": ("SecurityGroupIds",),
    "AWS::EFS::MountTarget": ("SecurityGroups",),
    "AWS::Lambda::Function": ("VpcConfig", "SecurityGroupIds"),
}


def _groups(template: Template) -> Sized:
    return [item for kind, path in GROUPS.items() for item in _of(kind, *path, measure=len)(template)]


def _rules_of_interfaces(template: Template) -> Sized:
    """Return the security group rules of each network interface: inbound or outbound, whichever are more."""
    rules = _rules(template)
    for kind, path in GROUPS.items():
        for name, properties in _resources(template, kind):
            node: Any = properties
            for part in path:
                node = node.get(part, {}) if isinstance(node, dict) else {}
            groups = {_group(reference) for reference in node or ()}
            ways: dict[tuple[str, int], int] = defaultdict(int)
            for (group, way, version), number in rules.items():
                ways[way, version] += number if group in groups else 0
            yield name, max(ways.values(), default=0)


def _overrides(template: Template) -> Sized:
    """Return the size of RunTask's overrides, including the executor's command."""
    for name, properties in _resources(template, "AWS::ECS::TaskDefinition"):
        for container in properties["ContainerDefinitions"]:
            for variable in container.get("Environment", ()):
                if str(variable["Name"]).endswith("RUN_TASK_KWARGS"):
                    overrides = json.loads(text(variable["Value"])).get("overrides", {})
                    yield f"{name} {container['Name']}", size(overrides) + EXECUTOR_COMMAND


def _streams(template: Template) -> Sized:
    for name, properties in _resources(template, "AWS::ECS::TaskDefinition"):
        for container in properties["ContainerDefinitions"]:
            prefix = container.get("LogConfiguration", {}).get("Options", {}).get("awslogs-stream-prefix")
            if prefix is not None:
                yield name, len(f"{text(prefix)}/{text(container['Name'])}/") + 32


def _labels(kind: str) -> Callable[[Template], Sized]:
    return _of(kind, "Name", measure=lambda name: max(map(len, text(name).split("."))))


def _evaluated(template: Template) -> Sized:
    """Return the seconds that each alarm evaluates, of which a day is allowed, or a week with periods of an hour."""
    for name, properties in _resources(template, "AWS::CloudWatch::Alarm"):
        metrics = [query["MetricStat"] for query in properties.get("Metrics", ()) if "MetricStat" in query]
        period = max(each["Period"] for each in (*metrics, {"Period": properties.get("Period", 0)}))
        yield name, period * properties.get("EvaluationPeriods", 1) // (7 if period >= 3600 else 1)


def _widgets(template: Template, measure: Callable[[list[dict[str, Any]]], int]) -> Sized:
    """Return a measure of the properties of each dashboard's widgets."""
    for name, properties in _resources(template, "AWS::CloudWatch::Dashboard"):
        widgets = json.loads(text(properties["DashboardBody"]))["widgets"]
        yield name, measure([widget["properties"] for widget in widgets])


def _ids(template: Template) -> Sized:
    return [(name, len(name)) for section in ("Resources", "Outputs") for name in template.get(section, {})]


def _tags(template: Template) -> Sized:
    return [
        (name, len(tags))
        for name, resource in template["Resources"].items()
        if isinstance(tags := resource.get("Properties", {}).get("Tags", []), list)
    ]


def _section(name: str) -> Callable[[Template], Sized]:
    return lambda template: [(name, len(template.get(name, {})))]


def _actions(node: dict[str, Any]) -> int:
    return len(node["Statement"])


CFN = "AWS CloudFormation User Guide, quotas"
ECS = "Amazon ECS Developer Guide, service quotas"
IAM = "IAM User Guide, IAM and AWS STS quotas"
VPC = "Amazon VPC User Guide, quotas"
ELB = "Elastic Load Balancing API, CreateLoadBalancer and CreateTargetGroup"
SCALING = "Application Auto Scaling User Guide, quotas"
ALARM_API = "Amazon CloudWatch API, PutMetricAlarm"
DASHBOARDS = "Amazon CloudWatch User Guide, quotas"
ALARM = "AWS::CloudWatch::Alarm"
TASK = "AWS::ECS::TaskDefinition"
LIMITS = (
    Limit("bytes of a template", 1_000_000, CFN, lambda template: [("template", len(json.dumps(template).encode()))]),
    Limit("resources", 500, CFN, _section("Resources")),
    Limit("outputs", 200, CFN, _section("Outputs")),
    Limit("parameters", 200, CFN, _section("Parameters")),
    Limit("characters of a logical id", 255, CFN, _ids),
    Limit("bytes of a task definition", 65_536, ECS, _of(TASK)),
    Limit("containers of a task definition", 10, ECS, _of(TASK, "ContainerDefinitions", measure=len)),
    Limit("characters of a family", 255, "Amazon ECS API, RegisterTaskDefinition", _of(TASK, "Family")),
    Limit("characters of overrides", 8_192, "Amazon ECS API, RunTask", _overrides),
    Limit("characters of a log stream's name", 512, "CloudWatch Logs API, CreateLogStream", _streams),
    Limit("characters of inline policies of a role", 10_240, IAM, _inline_policies),
    Limit("characters of a trust policy", 2_048, IAM, _of("AWS::IAM::Role", "AssumeRolePolicyDocument")),
    Limit("characters of a managed policy", 6_144, IAM, _of("AWS::IAM::ManagedPolicy", "PolicyDocument")),
    Limit("managed policies of a role", 10, IAM, _of("AWS::IAM::Role", "ManagedPolicyArns", measure=len)),
    Limit("rules of a security group", 60, VPC, _rules_of_groups),
    Limit("security groups of a network interface", 5, VPC, _groups),
    Limit("rules of a network interface", 1_000, VPC, _rules_of_interfaces),
    Limit(
        "characters of a description",
        255,
        "Amazon EC2 API, CreateSecurityGroup",
        _of("AWS::EC2::SecurityGroup", "GroupDescription"),
    ),
    Limit(
        "characters of a rule's description",
        255,
        "Amazon EC2 API, IpRange",
        _of("AWS::EC2::SecurityGroupIngress", "Description"),
    ),
    Limit("characters of a load balancer's name", 32, ELB, _of("AWS::ElasticLoadBalancingV2::LoadBalancer", "Name")),
    Limit("characters of a target group's name", 32, ELB, _of("AWS::ElasticLoadBalancingV2::TargetGroup", "Name")),
    Limit(
        "values of a listener rule",
        5,
        "Application Load Balancer quotas",
        _of(
            "AWS::ElasticLoadBalancingV2::ListenerRule",
            "Conditions",
            measure=lambda conditions: sum(
                len(values)
                for condition in conditions
                for values in [
                    condition.get("Values", []),
                    *(part.get("Values", []) for part in condition.values() if isinstance(part, dict)),
                ]
            ),
        ),
    ),
    Limit(
        "characters of a namespace",
        253,
        "AWS Cloud Map API, CreatePrivateDnsNamespace",
        _of("AWS::ServiceDiscovery::PrivateDnsNamespace", "Name"),
    ),
    Limit("characters between two dots", 63, "RFC 1035, 2.3.4", _labels("AWS::ServiceDiscovery::PrivateDnsNamespace")),
    Limit("characters of a service's name", 63, "RFC 1035, 2.3.4", _labels("AWS::ServiceDiscovery::Service")),
    Limit(
        "bytes of variables of a function",
        4_096,
        "AWS Lambda Developer Guide, quotas",
        _of("AWS::Lambda::Function", "Environment", "Variables"),
    ),
    Limit(
        "characters of a log group's name",
        512,
        "CloudWatch Logs API, CreateLogGroup",
        _of("AWS::Logs::LogGroup", "LogGroupName"),
    ),
    Limit("bytes of a parameter", 4_096, "AWS Systems Manager API, PutParameter", _of("AWS::SSM::Parameter", "Value")),
    Limit(
        "bytes of a key's policy", 32_768, "AWS KMS Developer Guide, resource quotas", _of("AWS::KMS::Key", "KeyPolicy")
    ),
    Limit(
        "bytes of a bucket's policy",
        20_480,
        "Amazon S3 User Guide, bucket policies",
        _of("AWS::S3::BucketPolicy", "PolicyDocument"),
    ),
    Limit(
        "statements of a queue's policy",
        20,
        "Amazon SQS Developer Guide, quotas",
        _of("AWS::SQS::QueuePolicy", "PolicyDocument", measure=_actions),
    ),
    Limit(
        "bytes of a queue's policy",
        8_192,
        "Amazon SQS Developer Guide, quotas",
        _of("AWS::SQS::QueuePolicy", "PolicyDocument"),
    ),
    Limit(
        "characters of a password",
        4_096,
        "AWS Secrets Manager API, GetRandomPassword",
        _of("AWS::SecretsManager::Secret", "GenerateSecretString", "PasswordLength", measure=int),
    ),
    Limit(
        "characters of a secret's description",
        2_048,
        "AWS Secrets Manager API, CreateSecret",
        _of("AWS::SecretsManager::Secret", "Description"),
    ),
    Limit(
        "nodes of a replication group",
        6,
        "Amazon ElastiCache API, CreateReplicationGroup",
        _of("AWS::ElastiCache::ReplicationGroup", "NumCacheClusters", measure=int),
    ),
    Limit(
        "days of backups",
        35,
        "Amazon RDS API, CreateDBInstance",
        _of("AWS::RDS::DBInstance", "BackupRetentionPeriod", measure=int),
    ),
    Limit(
        "days of backups of a cluster",
        35,
        "Amazon RDS API, CreateDBCluster",
        _of("AWS::RDS::DBCluster", "BackupRetentionPeriod", measure=int),
    ),
    Limit(
        "subnets of a service",
        16,
        "Amazon ECS API, AwsVpcConfiguration",
        _of("AWS::ECS::Service", "NetworkConfiguration", "AwsvpcConfiguration", "Subnets", measure=len),
    ),
    Limit(
        "steps of a scaling policy",
        20,
        SCALING,
        _of(
            "AWS::ApplicationAutoScaling::ScalingPolicy",
            *("StepScalingPolicyConfiguration", "StepAdjustments"),
            measure=len,
        ),
    ),
    Limit(
        "scheduled actions of a service",
        200,
        SCALING,
        _of("AWS::ApplicationAutoScaling::ScalableTarget", "ScheduledActions", measure=len),
    ),
    Limit(
        "characters of an alarm's description",
        1_024,
        "Amazon CloudWatch API, PutMetricAlarm",
        _of("AWS::CloudWatch::Alarm", "AlarmDescription"),
    ),
    Limit("metrics and expressions of an alarm", 20, ALARM_API, _of(ALARM, "Metrics", measure=len)),
    Limit("actions of an alarm's state", 5, ALARM_API, _of(ALARM, "AlarmActions", measure=len)),
    Limit("seconds that an alarm evaluates", 86_400, ALARM_API, _evaluated),
    Limit("widgets of a dashboard", 500, DASHBOARDS, lambda template: _widgets(template, len)),
    Limit(
        "metrics of a dashboard",
        2_500,
        DASHBOARDS,
        lambda template: _widgets(template, lambda found: sum(len(each.get("metrics", ())) for each in found)),
    ),
    Limit(
        "alarms of a widget",
        100,
        DASHBOARDS,
        lambda template: _widgets(
            template, lambda found: max((len(each.get("alarms", ())) for each in found), default=0)
        ),
    ),
    Limit(
        "characters of an event pattern", 4_096, "Amazon EventBridge quotas", _of("AWS::Events::Rule", "EventPattern")
    ),
    Limit("tags of a resource", 50, "AWS General Reference, tag naming limits", _tags),
)
