"""VPC, subnets, security groups, and security group rules for the plan's edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final, TypeAlias

from aws_cdk import Fn, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_servicediscovery as servicediscovery
from constructs import Construct

from cdk_airflow_ecs.custom_resource_provider import quieten_provider
from cdk_airflow_ecs.tokens import is_list_token, is_token

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from constructs import IDependable

    from cdk_airflow_ecs.plan import Edge
    from cdk_airflow_ecs.stack_facts import StackFacts

# The arguments that select subnets, by name.
Subnets: TypeAlias = "Mapping[str, ec2.SubnetSelection | None]"

_tcp = cache(ec2.Port.tcp)
_PRIVATE = ec2.SubnetType.PRIVATE_WITH_EGRESS
_ISOLATED = ec2.SubnetType.PRIVATE_ISOLATED
# The private networks (RFC 1918, RFC 6598), which contain the addresses of load balancers in a VPC.
PRIVATE_BLOCKS: Final = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10"
# The subnet groups of a VPC created by the cluster, in the order of their addresses.
OWN_GROUPS = {"Private": _PRIVATE, "Public": ec2.SubnetType.PUBLIC, "Store": _ISOLATED}


@dataclass(frozen=True, kw_only=True)
class Network:
    """The VPC of a cluster and its subnets.

    Args:
        endpoints: gateway endpoints created by the cluster. Adding or removing one breaks open connections.
        task_subnets: the subnets of tasks, with routes to AWS APIs and the image registry.
        store_subnets: the subnets of database and broker, which cannot change.
        web_subnets: the subnets of the load balancer.
    """

    vpc: ec2.IVpc
    task_subnets: ec2.SubnetSelection
    store_subnets: ec2.SubnetSelection
    web_subnets: ec2.SubnetSelection
    endpoints: Sequence[IDependable] = ()

    @cached_property
    def _tasks(self) -> ec2.SelectedSubnets:
        return self.select(self.task_subnets)

    @cached_property
    def _stores(self) -> ec2.SelectedSubnets:
        return self.select(self.store_subnets)

    @property
    def web_blocks(self) -> str:
        """The CIDR blocks of the web subnets, separated by commas; private networks if unknown."""
        try:
            blocks = [subnet.ipv4_cidr_block for subnet in self.select(self.web_subnets).subnets]
        except RuntimeError:  # a subnet imported by its id only
            return PRIVATE_BLOCKS
        return joined(",", blocks) or PRIVATE_BLOCKS

    @property
    def assign_public_ip(self) -> bool:
        """Whether tasks are in public subnets."""
        return bool(self._tasks.has_public)

    @property
    def store_subnet_ids(self) -> list[str]:
        """The ids of the store subnets."""
        return list(self._stores.subnet_ids)

    @property
    def counted_store_subnets(self) -> ec2.SubnetSelection:
        """The store subnets for CDK constructs that need a number of subnets; a list token counts as two."""
        if not any(map(is_list_token, self.store_subnet_ids)):
            return self.store_subnets
        return ec2.SubnetSelection(subnets=[*self._stores.subnets] * 2)

    @property
    def store_subnets_by_zone(self) -> Mapping[str, ec2.ISubnet]:
        """The first store subnet of each zone. Zones known only at deploy time count as different."""
        found: dict[str, ec2.ISubnet] = {}
        for subnet in self._stores.subnets:
            zone = subnet.availability_zone
            found.setdefault(subnet.subnet_id if is_list_token(zone) else zone, subnet)
        return found

    @property
    def zones_without_store(self) -> list[str]:
        """The zones with task subnets but without store subnets, if known."""
        stores, tasks = (
            {subnet.availability_zone for subnet in subnets} for subnets in (self._stores.subnets, self.task_routes)
        )
        unknown = any(is_token(zone) or is_list_token(zone) for zone in stores | tasks)
        return [] if unknown else sorted(tasks - stores)

    @property
    def task_subnet_ids(self) -> list[str]:
        """The ids of the task subnets."""
        return list(self._tasks.subnet_ids)

    @property
    def task_routes(self) -> Sequence[ec2.ISubnet]:
        """The task subnets as constructs, to depend on their routes."""
        return list(self._tasks.subnets)

    @property
    def attributes(self) -> Mapping[str, str | Sequence[str]]:
        """The values of ``Ref("Network", …)`` in a plan."""
        return {
            "task_subnets": joined(",", self.task_subnet_ids),
            # In JSON text, CDK must join a list token. The result is ["a","b"].
            "task_subnet_list": (
                [joined('","', self.task_subnet_ids)]
                if any(map(is_list_token, self.task_subnet_ids))
                else self.task_subnet_ids
            ),
            "assign_public_ip": str(self.assign_public_ip),
            "assign_public_ip_word": "ENABLED" if self.assign_public_ip else "DISABLED",
        }

    def security_group(
        self, scope: Construct, construct_id: str, description: str, *, egress: bool = False
    ) -> ec2.SecurityGroup:
        """Create a security group without rules; with *egress*, it allows all outbound connections.

        *description* must be constant, because a change replaces the group.
        """
        return ec2.SecurityGroup(scope, construct_id, vpc=self.vpc, description=description, allow_all_outbound=egress)

    def select(self, selection: ec2.SubnetSelection) -> ec2.SelectedSubnets:
        """Return the subnets of the VPC that match *selection*."""
        return self.vpc.select_subnets(
            availability_zones=selection.availability_zones,
            one_per_az=selection.one_per_az,
            subnet_filters=selection.subnet_filters,
            subnet_group_name=selection.subnet_group_name,
            subnets=selection.subnets,
            subnet_type=selection.subnet_type,
        )


def joined(separator: str, values: Sequence[str]) -> str:
    """Join *values*, which may be a list token, to one text."""
    return Fn.join(separator, values) if any(map(is_list_token, values)) else separator.join(values)


def build_network(
    scope: Construct,
    stack: StackFacts,
    *,
    vpc: ec2.IVpc | None,
    subnets: Subnets,
    internet_facing: bool,
    key: kms.IKey,
) -> Network:
    """Return the network in *vpc*, or in a new VPC with two zones and one NAT gateway."""
    if vpc is not None:
        return choose_subnets(vpc, subnets, internet_facing=internet_facing)
    made = _make_vpc(scope, stack, key)
    endpoint = made.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
    return replace(choose_subnets(made, subnets, internet_facing=internet_facing, own=True), endpoints=[endpoint])


def choose_subnets(vpc: ec2.IVpc, subnets: Subnets, *, internet_facing: bool, own: bool = False) -> Network:
    """Return the network in *vpc*, with default subnets where *subnets*, the user's choices, have none.

    *own* means that the cluster created the VPC.
    """
    stores = _ISOLATED if own else _PRIVATE
    return Network(
        vpc=vpc,
        task_subnets=subnets.get("task_subnets") or ec2.SubnetSelection(subnet_type=_PRIVATE),
        # In the user's VPC, isolated subnets are not the default: if they were added later, the database would be
        # replaced.
        store_subnets=subnets.get("store_subnets") or ec2.SubnetSelection(subnet_type=stores),
        web_subnets=subnets.get("web_subnets")
        or ec2.SubnetSelection(
            subnet_type=ec2.SubnetType.PUBLIC if internet_facing else _PRIVATE,
            # A load balancer accepts one subnet per zone. Not with a list token, whose zones CDK would treat as one.
            one_per_az=not any(map(is_list_token, vpc.availability_zones)),
        ),
    )


def _make_vpc(scope: Construct, stack: StackFacts, key: kms.IKey) -> ec2.Vpc:
    def subnets(name: str, kind: ec2.SubnetType, mask: int) -> ec2.SubnetConfiguration:
        public = {"map_public_ip_on_launch": False} if kind == ec2.SubnetType.PUBLIC else {}
        return ec2.SubnetConfiguration(name=name, subnet_type=kind, cidr_mask=mask, **public)

    vpc = ec2.Vpc(
        scope,
        "Vpc",
        max_azs=2,
        nat_gateways=1,
        restrict_default_security_group=True,
        subnet_configuration=[subnets(name, kind, 18 if kind == _PRIVATE else 24) for name, kind in OWN_GROUPS.items()],
    )
    quieten_provider(vpc, "Custom::VpcRestrictDefaultSG")
    group = logs.LogGroup(
        vpc,
        "FlowLogGroup",
        retention=logs.RetentionDays.ONE_MONTH,
        encryption_key=key,
        removal_policy=RemovalPolicy.DESTROY,
    )
    account = {"StringEquals": {"aws:SourceAccount": stack.account}}
    role = iam.Role(
        vpc, "FlowLogRole", assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com", conditions=account)
    )
    flow_log = vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(group, role))
    flow_log.node.add_dependency(role.node.find_child("DefaultPolicy"))
    return vpc


def connect(
    edges: Sequence[Edge],
    components: Mapping[str, ec2.ISecurityGroup],
    resources: Mapping[str, ec2.IConnectable],
    clients: Sequence[ec2.IPeer],
) -> None:
    """Create the security group rules for *edges*.

    *components* and *resources* are their ends by name; *clients* are the sources of edges from "Clients".
    """
    # Collects components with the same target and port, for one call to CDK.
    together: dict[tuple[str, int, str], list[str]] = {}
    for edge in edges:
        target = components.get(edge.target) or resources.get(edge.target)
        if target is None or edge.source == "Web":  # the target group creates the load balancer's rule
            continue
        if edge.source == "Clients":
            for client in clients:
                target.connections.allow_from(client, _tcp(edge.port), edge.why)
        elif edge.source in components:
            together.setdefault((edge.target, edge.port, edge.why), []).append(edge.source)
        else:
            resources[edge.source].connections.allow_to(target, _tcp(edge.port), edge.why)
    for (name, port, why), sources in together.items():
        # The cluster's groups create the rules, so that a database in another stack does not depend on this stack.
        groups = ec2.Connections(security_groups=[components[source] for source in sources])
        groups.allow_to(components.get(name) or resources[name], _tcp(port), why)


def bind_namespace(scope: Construct, network: Network, name: str) -> servicediscovery.PrivateDnsNamespace:
    """Create the private DNS zone for the execution API's name, which executor tasks also resolve."""
    return servicediscovery.PrivateDnsNamespace(
        scope, "Namespace", name=name, vpc=network.vpc, description="Airflow execution API"
    )


def peers(allow_from: Sequence[ec2.IPeer | str] | None, vpc: ec2.IVpc) -> list[ec2.IPeer]:
    """Return the peers of ``allow_from``: CIDR blocks and CDK peers, or the VPC by default."""
    if allow_from is None:
        return [ec2.Peer.ipv4(vpc.vpc_cidr_block)]
    return [_peer(entry) for entry in allow_from]


def _peer(entry: ec2.IPeer | str) -> ec2.IPeer:
    if not isinstance(entry, str):
        return entry
    return ec2.Peer.ipv6(entry) if ":" in entry and not is_token(entry) else ec2.Peer.ipv4(entry)
