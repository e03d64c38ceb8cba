"""Checks the order in which CloudFormation creates and deletes resources.

CloudFormation creates a resource after those in its references and ``DependsOn``, deletes it before them, and does
everything else in parallel. :func:`faults` lists the pairs without the order that AWS needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from synthesis import references, strings

Template = dict[str, Any]

GATE = "Custom::AirflowMigration"
EMPTIER = "Custom::S3AutoDeleteObjects"
# Resources of these types refer to a role, but do not use it while they are created.
MENTION_ONLY = (
    *("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::Role"),
    *("AWS::IAM::InstanceProfile", "AWS::KMS::Key", "AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"),
    *("AWS::SNS::TopicPolicy", "AWS::SecretsManager::ResourcePolicy", "AWS::EFS::FileSystem"),
    *("AWS::ECS::TaskDefinition", "AWS::CloudWatch::Dashboard"),
)
# Lambda checks these properties with the function's role on create and update (AWS Lambda API Reference).
CHECKED_BY_LAMBDA = ("DeadLetterConfig", "VpcConfig", "KmsKeyArn", "FileSystemConfigs")
# By resource type: the path of the property that contains the security groups.
GROUPS_OF = {
    "AWS::RDS::DBInstance": ("VPCSecurityGroups",),
    "AWS::RDS::DBCluster": ("VpcSecurityGroupIds",),
    "AWS::ElastiCache::ReplicationGroup": ("SecurityGroupIds",),
    "AWS::EFS::MountTarget": ("SecurityGroups",),
    "AWS::ECS::Service": ("NetworkConfiguration", "AwsvpcConfiguration", "SecurityGroups"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("SecurityGroups",),
    "AWS::EC2::VPCEndpoint": ("SecurityGroupIds",),
    "AWS::EC2::Instance": ("SecurityGroupIds",),
    "AWS::Lambda::Function": ("VpcConfig", "SecurityGroupIds"),
}
STORES = (
    *("AWS::RDS::DBInstance", "AWS::RDS::DBCluster", "AWS::ElastiCache::ReplicationGroup"),
    "AWS::EFS::MountTarget",
)


def faults(template: Template) -> list[str]:
    """Return each missing order as "A before B: why"."""
    graph = Graph(template["Resources"])
    found = [
        f"{first} before {second}: {why}"
        for rule in RULES
        for second, first, why in rule(graph)
        if first != second and first not in graph.before(second)
    ]
    return sorted({*found, *graph.circles()})


class Graph:
    """The resources of a template with their dependencies."""

    def __init__(self, resources: Mapping[str, Any]) -> None:
        self.resources = resources
        self._before: dict[str, frozenset[str]] = {}

    def of(self, *types: str) -> list[str]:
        """Return the logical ids of the resources of *types*."""
        return [name for name, resource in self.resources.items() if resource["Type"] in types]

    def get(self, name: str, *path: str) -> Any:
        """Return a property of the resource *name*, or None."""
        found = self.resources[name].get("Properties", {})
        for part in path:
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def named(self, node: Any, *types: str) -> list[str]:
        """Return the resources that *node* refers to, all or only those of *types*."""
        found = sorted(name for name in references(node) if name in self.resources)
        return [name for name in found if not types or self.resources[name]["Type"] in types]

    @cached_property
    def direct(self) -> Mapping[str, set[str]]:
        """Return the direct dependencies of each resource."""
        return {name: self._direct(resource) for name, resource in self.resources.items()}

    def _direct(self, resource: Mapping[str, Any]) -> set[str]:
        properties, explicit = resource.get("Properties", {}), resource.get("DependsOn", [])
        # The text of Fn::Sub contains references.
        inside = {name for text in strings(properties) for name in re.findall(r"\$\{(\w+)", text)}
        return {*references(properties), *([explicit] if isinstance(explicit, str) else explicit), *inside} & {
            *self.resources
        }

    def before(self, name: str) -> frozenset[str]:
        """Return all resources that CloudFormation creates before the resource *name*."""
        if name not in self._before:
            found: set[str] = set()
            left = [name]
            while left:
                new = self.direct[left.pop()] - found
                found |= new
                left += new
            self._before[name] = frozenset(found)
        return self._before[name]

    def circles(self) -> list[str]:
        """Return each resource that depends on itself, directly or through others."""
        return [f"{name} before {name}: a circle" for name in self.resources if name in self.before(name)]

    @cached_property
    def policies(self) -> Mapping[str, list[str]]:
        """Return the policy resources that are attached to each role."""
        found: dict[str, list[str]] = {role: [] for role in self.of("AWS::IAM::Role")}
        for policy in self.of("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
            for role in self.named([self.get(policy, "Roles"), self.get(policy, "RoleName")], "AWS::IAM::Role"):
                found[role].append(policy)
        return found

    def groups(self, name: str) -> list[str]:
        """Return the security groups of the resource *name*."""
        path = GROUPS_OF.get(self.resources[name]["Type"])
        return self.named(self.get(name, *path), "AWS::EC2::SecurityGroup") if path else []

    def behind(self, group: str, *types: str) -> list[str]:
        """Return the resources of *types* that are in the security group *group*."""
        return [name for name in self.of(*types) if group in self.groups(name)]

    def rules(self, group: str) -> list[str]:
        """Return the security group rules to or from *group*."""
        found = []
        for rule in self.of("AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"):
            ends = [self.get(rule, end) for end in ("GroupId", "SourceSecurityGroupId", "DestinationSecurityGroupId")]
            if group in self.named(ends):
                found.append(rule)
        return found

    def targets(self, group: str) -> list[str]:
        """Return the security groups with an inbound rule for *group*."""
        return [
            target
            for rule in self.of("AWS::EC2::SecurityGroupIngress")
            if group in self.named(self.get(rule, "SourceSecurityGroupId"))
            for target in self.named(self.get(rule, "GroupId"))
        ]

    def ways_out(self, subnets: list[str]) -> list[str]:
        """Return the routes and route table associations of *subnets*."""
        associations = [
            name
            for name in self.of("AWS::EC2::SubnetRouteTableAssociation")
            if {*self.named(self.get(name, "SubnetId"))} & {*subnets}
        ]
        tables = {table for name in associations for table in self.named(self.get(name, "RouteTableId"))}
        routes = [name for name in self.of("AWS::EC2::Route") if {*self.named(self.get(name, "RouteTableId"))} & tables]
        return [*associations, *routes]

    def ways_to_images(self, subnets: list[str]) -> list[str]:
        """Return routes, route table associations and VPC endpoints, whose changes break open connections."""
        ways = self.ways_out(subnets)
        tables = {table for way in ways for table in self.named(self.get(way, "RouteTableId"))}
        endpoints = [
            name
            for name in self.of("AWS::EC2::VPCEndpoint")
            if {*self.named([self.get(name, "RouteTableIds"), self.get(name, "SubnetIds")])} & {*tables, *subnets}
        ]
        return [*ways, *endpoints]

    @cached_property
    def gates(self) -> list[str]:
        """Return the custom resources of migration gates."""
        return self.of(GATE)

    @cached_property
    def free_definitions(self) -> list[str]:
        """Return task definitions that no service runs: their tasks are started on demand."""
        services = self.of("AWS::ECS::Service")
        used = {name for service in services for name in self.named(self.get(service, "TaskDefinition"))}
        return [name for name in self.of("AWS::ECS::TaskDefinition") if name not in used]

    def runs_airflow(self, service: str) -> bool:
        """Return whether a service runs Airflow."""
        definitions = self.named(self.get(service, "TaskDefinition"), "AWS::ECS::TaskDefinition")
        return any("AIRFLOW__" in text for name in definitions for text in strings(self.resources[name]))

    def roles_of(self, definition: str) -> list[str]:
        """Return the task role and the execution role of a task definition."""
        return self.named(
            [self.get(definition, role) for role in ("TaskRoleArn", "ExecutionRoleArn")], "AWS::IAM::Role"
        )

    def emptiers(self, bucket: str) -> list[str]:
        """Return the custom resources that empty *bucket*."""
        return [name for name in self.of(EMPTIER) if bucket in self.named(self.get(name, "BucketName"))]


Found = Iterator[tuple[str, str, str]]


def roles_are_complete(graph: Graph) -> Found:
    """Every policy of a role exists whenever AWS uses the role."""
    for name, resource in graph.resources.items():
        kind = resource["Type"]
        roles = graph.named(resource.get("Properties", {}), "AWS::IAM::Role")
        if kind == "AWS::Lambda::Function":
            roles = roles if any(graph.get(name, option) for option in CHECKED_BY_LAMBDA) else []
        elif kind == "AWS::ECS::Service":
            roles += [
                role
                for definition in graph.named(graph.get(name, "TaskDefinition"), "AWS::ECS::TaskDefinition")
                for role in graph.roles_of(definition)
            ]
        elif graph.get(name, "ServiceToken"):
            roles = [
                role
                for function in graph.named(graph.get(name, "ServiceToken"), "AWS::Lambda::Function")
                for role in graph.named(graph.get(function, "Role"), "AWS::IAM::Role")
            ]
        elif kind in MENTION_ONLY:
            continue
        for role in roles:
            for policy in graph.policies[role]:
                # A policy that refers to the resource that uses the role cannot precede it.
                if name not in graph.before(policy):
                    yield name, policy, f"{kind} acts in {role}"


def _task_needs(graph: Graph, definition: str, groups: list[str], *kinds: str) -> Iterator[tuple[str, str]]:
    """Yield the resources that a task needs, each with the reason."""
    for secret in graph.named(graph.get(definition, "ContainerDefinitions"), "AWS::SecretsManager::Secret"):
        for attachment in graph.of("AWS::SecretsManager::SecretTargetAttachment"):
            if secret in graph.named(graph.get(attachment, "SecretId")):
                yield attachment, "it completes a secret of the task"
    for system in graph.named(graph.get(definition, "Volumes"), "AWS::EFS::FileSystem"):
        for target in graph.of("AWS::EFS::MountTarget"):
            if system in graph.named(graph.get(target, "FileSystemId")):
                yield target, "the task mounts its file system"
                for group in graph.groups(target):
                    yield from ((rule, "it admits the task to its files") for rule in graph.rules(group))
    for group in groups:
        for rule in graph.rules(group):
            ends = {*graph.named(graph.resources[rule]["Properties"])} - {group}
            if not any(graph.behind(end, "AWS::ElasticLoadBalancingV2::LoadBalancer") for end in ends):
                yield rule, "it is a rule of the task's security group"
        for target in graph.targets(group):
            for store in graph.behind(target, *STORES, *kinds):
                yield store, "the task connects to it"
                for instance in graph.of("AWS::RDS::DBInstance"):
                    if store in graph.named(graph.get(instance, "DBClusterIdentifier")):
                        yield instance, "the database answers through its instances"


def prerequisites_of_services(graph: Graph) -> Found:
    """A service starts tasks as soon as it exists, so resources that its tasks use must exist before."""
    for name in graph.of("AWS::ECS::Service"):
        network = graph.get(name, "NetworkConfiguration", "AwsvpcConfiguration") or {}
        for definition in graph.named(graph.get(name, "TaskDefinition"), "AWS::ECS::TaskDefinition"):
            for first, why in _task_needs(graph, definition, graph.groups(name)):
                yield name, first, why
        for way in graph.ways_to_images(graph.named(network.get("Subnets"), "AWS::EC2::Subnet")):
            yield name, way, "its tasks pull images and read secrets through it"
        if strategy := graph.get(name, "CapacityProviderStrategy"):
            made = graph.named(strategy, "AWS::ECS::CapacityProvider")
            # Only ECS itself associates capacity providers of ECS Managed Instances.
            managed = [provider for provider in made if graph.get(provider, "ManagedInstancesProvider")]
            for offer in [] if managed else graph.of("AWS::ECS::ClusterCapacityProviderAssociations"):
                yield name, offer, "its capacity provider must be in the ECS cluster"
        for group in graph.named(graph.get(name, "LoadBalancers"), "AWS::ElasticLoadBalancingV2::TargetGroup"):
            listeners = graph.of("AWS::ElasticLoadBalancingV2::Listener", "AWS::ElasticLoadBalancingV2::ListenerRule")
            for listener in listeners:
                if group in graph.named(graph.resources[listener]["Properties"]):
                    yield name, listener, "ECS rejects a target group without a load balancer"
        if graph.runs_airflow(name):
            for gate in graph.gates:
                yield name, gate, "it works on the upgraded database"


def prerequisites_of_migrations(graph: Graph) -> Found:
    """The migration gate runs its task while it is created, so resources that the task uses must exist before."""
    for name in graph.gates:
        (definition,) = graph.named(graph.get(name, "TaskDefinition"), "AWS::ECS::TaskDefinition")
        (function,) = graph.named(graph.get(name, "ServiceToken"), "AWS::Lambda::Function")
        variables = graph.get(function, "Environment", "Variables")
        groups = graph.named(variables["SECURITY_GROUP"], "AWS::EC2::SecurityGroup")
        for first, why in _task_needs(graph, definition, groups, "AWS::ECS::Service"):
            yield name, first, why
        for way in graph.ways_to_images(graph.named(variables["SUBNETS"], "AWS::EC2::Subnet")):
            yield name, way, "the migration pulls its image and reads secrets through it"
        for role in graph.roles_of(definition):
            for policy in graph.policies[role]:
                yield name, policy, f"the migration acts in {role}"
        # Lambda uses the function's role on delete as well.
        for role in graph.named(graph.get(function, "Role"), "AWS::IAM::Role"):
            for policy in graph.policies[role]:
                yield name, policy, f"the gate acts in {role}"


def resources_of_started_tasks(graph: Graph) -> Found:
    """The migration gate stops tasks without a service before the resources of those tasks are deleted."""
    for name in graph.gates:
        for definition in graph.free_definitions:
            yield name, definition, "the gate stops its tasks before it is deleted"
            for role in graph.roles_of(definition):
                for policy in graph.policies[role]:
                    yield name, policy, "tasks that the gate stops act in its role"
        occupied = {group for each in graph.resources for group in graph.groups(each)}
        for group in graph.of("AWS::EC2::SecurityGroup"):
            if group not in occupied:
                yield name, group, "tasks that the gate stops have network interfaces in it"
        for kind in (
            "AWS::ECS::Cluster",
            "AWS::ECS::ClusterCapacityProviderAssociations",
            "AWS::ECS::CapacityProvider",
        ):
            for each in graph.of(kind):
                yield name, each, "ECS deletes nothing that tasks use"


def buckets_stay_empty(graph: Graph) -> Found:
    """A bucket is emptied after its last writer is deleted, and before the permission to empty it is."""
    for bucket in graph.of("AWS::S3::Bucket"):
        emptiers = graph.emptiers(bucket)
        policies = [
            name for name in graph.of("AWS::S3::BucketPolicy") if bucket in graph.named(graph.get(name, "Bucket"))
        ]
        for emptier in emptiers:
            for policy in policies:
                yield emptier, policy, "it allows the emptying"
            for writer in _writers(graph, bucket):
                yield writer, emptier, f"it writes to {bucket} until it is gone"


def _writers(graph: Graph, bucket: str) -> Iterator[str]:
    yield from graph.gates
    yield from filter(graph.runs_airflow, graph.of("AWS::ECS::Service"))
    for balancer in graph.of("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        if bucket in graph.named(graph.get(balancer, "LoadBalancerAttributes")):
            yield balancer
    for other in graph.of("AWS::S3::Bucket"):
        if bucket in graph.named(graph.get(other, "LoggingConfiguration")):
            yield other
            yield from graph.emptiers(other)
    for flow_log in graph.of("AWS::EC2::FlowLog"):
        if bucket in graph.named(graph.get(flow_log, "LogDestination")):
            yield flow_log


def prerequisites_of_load_balancers(graph: Graph) -> Found:
    """A load balancer writes to its log bucket when it is created; an internet-facing one needs an internet gateway."""
    for name in graph.of("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        for bucket in graph.named(graph.get(name, "LoadBalancerAttributes"), "AWS::S3::Bucket"):
            for policy in graph.of("AWS::S3::BucketPolicy"):
                if bucket in graph.named(graph.get(policy, "Bucket")):
                    yield name, policy, "it tries to write its log"
        if graph.get(name, "Scheme") == "internet-facing":
            for way in graph.ways_out(graph.named(graph.get(name, "Subnets"), "AWS::EC2::Subnet")):
                yield name, way, "it is on the internet"


def prerequisites_of_scalings(graph: Graph) -> Found:
    """A scalable target needs its ECS service, so the service is created before and deleted after the scaling."""
    targets = graph.of("AWS::ApplicationAutoScaling::ScalableTarget")
    for target in targets:
        services = graph.named(graph.get(target, "ResourceId"), "AWS::ECS::Service")
        for service in services or graph.of("AWS::ECS::Service"):
            yield target, service, "only an existing service can be scaled"
    policies = graph.of("AWS::ApplicationAutoScaling::ScalingPolicy")
    for policy in policies:
        reference = graph.get(policy, "ScalingTargetId") or graph.get(policy, "ResourceId")
        same = [target for target in targets if graph.get(target, "ResourceId") == reference]
        for target in graph.named(reference, "AWS::ApplicationAutoScaling::ScalableTarget") or same or targets:
            yield policy, target, "a policy belongs to a registered target"
    for alarm in graph.of("AWS::CloudWatch::Alarm"):
        for policy in policies:
            if f":{graph.get(policy, 'PolicyName')}" in str(graph.get(alarm, "AlarmActions")):
                yield alarm, policy, "it runs the policy"


RULES: tuple[Callable[[Graph], Found], ...] = (
    roles_are_complete,
    prerequisites_of_services,
    prerequisites_of_migrations,
    resources_of_started_tasks,
    buckets_stay_empty,
    prerequisites_of_load_balancers,
    prerequisites_of_scalings,
)
