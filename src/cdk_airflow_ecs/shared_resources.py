"""The cluster resources and their construct tree, which never changes.

``Vpc, Cluster, Namespace, Database, Broker, Dags, Logs, Secrets/<name>, Web, Gate, Components/<name>, Pools/<name>,
Tasks/<name>, Images/<name>``; docs/guides/configure/escape-hatches.md lists all paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from aws_cdk import aws_servicediscovery as servicediscovery
from constructs import Construct

from cdk_airflow_ecs.access_logs import AccessLogs
from cdk_airflow_ecs.airflow import EXECUTION_API_NAME, web_component, web_health_path
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.capacity.machines import MachinesContext
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.container_images import ContainerImages
from cdk_airflow_ecs.ecs_cluster import EcsCluster
from cdk_airflow_ecs.given_secrets import bind_given_secrets
from cdk_airflow_ecs.key_statements import KeyStatements
from cdk_airflow_ecs.logs.retention import keep
from cdk_airflow_ecs.nag import acknowledge_all
from cdk_airflow_ecs.names import family_prefix, namespace_name
from cdk_airflow_ecs.network import bind_namespace, build_network
from cdk_airflow_ecs.permissions import tasks_of
from cdk_airflow_ecs.plan import CLUSTER
from cdk_airflow_ecs.ports import EXECUTION_API_PORT
from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent
from cdk_airflow_ecs.secrets import bind_secrets, cluster_key, key_peer, let_logs_use
from cdk_airflow_ecs.stack_facts import StackFacts

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_elasticloadbalancingv2 as elb
    from aws_cdk import aws_kms as kms
    from constructs import IDependable

    from cdk_airflow_ecs.capacity.base import Capacity
    from cdk_airflow_ecs.network import Network, Subnets
    from cdk_airflow_ecs.plan import ClusterPlan
    from cdk_airflow_ecs.settings import Settings


class Scopes:
    """The constructs by their path below the cluster, created at first use."""

    def __init__(self, root: Construct) -> None:
        self._made = {"": root}

    def __call__(self, path: str) -> Construct:
        """Return the construct at *path*."""
        if path not in self._made:
            parent, _, name = path.rpartition("/")
            self._made[path] = Construct(self(parent), name)
        return self._made[path]


class SharedResources:
    """The cluster resources. More may be added, but never removed."""

    def __init__(
        self,
        root: Construct,
        settings: Settings,
        *,
        vpc: ec2.IVpc | None,
        subnets: Subnets,
        encryption_key: kms.IKey | None,
        removal_policy: RemovalPolicy | None,
    ) -> None:
        """Create the resources of every cluster."""
        self._root = root
        stack = StackFacts(root)
        self._scope = Scopes(root)
        acknowledge_all(
            root,
            {
                "AwsSolutions-ECS2": (
                    "Plain variables contain no secret, which a test checks; secrets come from Secrets Manager"
                ),
                "AwsSolutions-SMG4": (
                    "ECS reads secrets when a task starts: a rotation that does not restart the services is an outage"
                ),
            },
        )
        secrets_scope, logs_scope = self._scope("Secrets"), self._scope("Logs")
        key = encryption_key or cluster_key(secrets_scope, removal_policy=removal_policy)
        let_logs_use(key, stack if encryption_key is None else StackFacts(key))
        key = key_peer(secrets_scope, key)
        self._network = build_network(
            root, stack, vpc=vpc, subnets=subnets, internet_facing=settings.web.internet_facing, key=key
        )
        self._family_prefix = family_prefix(root)
        self._context = BindContext(
            stack=stack,
            network=self._network,
            key=key,
            # A customer key is used for buckets only if the user passed it, because people who upload DAGs need
            # permissions for it.
            bucket_key=None if encryption_key is None else key,
            access_logs=AccessLogs(logs_scope, stack, removal_policy=removal_policy),
            removal_policy=removal_policy,
            namespace=namespace_name(root),
        )
        self._log_group = logs.LogGroup(
            logs_scope,
            "Containers",
            retention=logs.RetentionDays.INFINITE,
            encryption_key=key,
            removal_policy=removal_policy or RemovalPolicy.RETAIN,
        )
        keep(self._log_group, settings.log_router.kept_days)
        self._ecs_clusters = {CLUSTER: self._make_cluster(CLUSTER, settings)}
        self._images = ContainerImages(self._scope)
        self._namespace: servicediscovery.INamespace | None = None
        self._trust = tasks_of(stack)
        self._key_statements = KeyStatements()
        self._resources: dict[str, ClusterResource] = {}
        self._machines: list[tuple[str, Capacity]] = []
        self._providers: list[IDependable] = []
        self._bindings = {
            "Stack": Binding(attributes={"region": stack.region}),
            **bind_secrets(secrets_scope, self._context, execution_api=settings.version.major >= 3),
            CLUSTER: self._ecs_clusters[CLUSTER].binding(),
            "AccessLogs": Binding(dependencies=self._context.access_logs.emptying),
            "Network": Binding(
                attributes=self._network.attributes,
                dependencies=[*self._network.task_routes, *self._network.endpoints],
            ),
            "Given": Binding(),
            "LogRouter": Binding(),
            "ContainerLogs": Binding(
                attributes={
                    "name": (group := self._log_group.log_group_name),
                    # Not CDK's ARN, which ends with ":*", so that stream names can be appended.
                    "arn": f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:{group}",
                }
            ),
            "ExecutionApi": Binding(
                attributes={
                    "url": f"http://{EXECUTION_API_NAME}.{self._context.namespace}:{EXECUTION_API_PORT}/execution/"
                }
            ),
        }

    @property
    def ecs_cluster(self) -> ecs.ICluster:
        """The ECS cluster."""
        return self._ecs_clusters[CLUSTER].resource

    @property
    def network(self) -> Network:
        """The VPC and its subnets."""
        return self._network

    @property
    def url(self) -> str:
        """The URL of Airflow's UI."""
        return self._bindings["Web"].text("url")

    def bind(self, settings: Settings, plan: ClusterPlan) -> RenderContext:
        """Create the missing resources of *plan*: stores, namespace, capacity providers."""
        for name, resource in settings.resources().items():
            if self._resources.get(name) != resource:
                self._bindings[name] = resource.bind(self._scope(name), self._context)
                self._resources[name] = resource
        if self._bindings["Given"].secrets.keys() != settings.given_secrets.keys():
            self._bindings["Given"] = bind_given_secrets(self._scope("Secrets/Given"), settings.given_secrets)
        router = settings.log_router
        if router.secrets and not self._bindings["LogRouter"].secrets:
            self._bindings["LogRouter"] = bind_given_secrets(self._scope("Logs/Router"), router.secrets)
        if self._namespace is None and any(component.dns_name for component in plan.components):
            self._namespace = bind_namespace(self._root, self._network, self._context.namespace)
        offers: dict[str, IDependable] = {}
        for name in sorted({component.ecs_cluster for component in plan.components}):
            if name not in self._ecs_clusters:
                self._ecs_clusters[name] = self._make_cluster(name, settings)
                self._bindings[name] = self._ecs_clusters[name].binding()
            here = [component for component in plan.components if component.ecs_cluster == name]
            self._bind_machines(name, [component.capacity for component in here])
            providers = [provider for component in here for provider in component.capacity.providers]
            if (offer := self._ecs_clusters[name].offer(providers)) is not None:
                offers[name] = offer
        return RenderContext(
            scope=self._scope,
            key=self._context.key,
            ecs_clusters={name: cluster.resource for name, cluster in self._ecs_clusters.items()},
            offers=offers,
            machines=self._providers,
            network=self._network,
            image=partial(self._images.find, settings),
            log_group=self._log_group,
            log_router=router.with_secrets(self._bindings["LogRouter"].secrets),
            bindings=self._bindings,
            key_statements=self._key_statements,
            trust=self._trust,
            namespace=self._namespace,
            family_prefix=self._family_prefix,
            task_roles={task.component: task.task_role for task in settings.ecs_tasks if task.task_role is not None},
        )

    def _bind_machines(self, ecs_cluster: str, capacities: Sequence[Capacity]) -> None:
        for capacity in capacities:
            # Fargate has no machines, and the context costs calls to CDK.
            if capacity.compatibility != "FARGATE" and (ecs_cluster, capacity) not in self._machines:
                self._machines.append((ecs_cluster, capacity))
                context = MachinesContext(
                    scope=self._scope,
                    cluster=self._ecs_clusters[ecs_cluster].resource,
                    vpc=self._network.vpc,
                    subnets=self._network.task_routes,
                )
                bound = capacity.bind(context)
                self._bindings |= bound
                self._providers += [provider for binding in bound.values() for provider in binding.dependencies]

    def _make_cluster(self, name: str, settings: Settings) -> EcsCluster:
        stack, insights = self._context.stack, settings.container_insights
        return EcsCluster(self._root, name, stack, network=self._network, log_group=self._log_group, insights=insights)


def serve_web(
    settings: Settings, context: RenderContext, rendered: Mapping[str, RenderedComponent]
) -> elb.ApplicationTargetGroup:
    """Attach the web component to the load balancer, and return its target group."""
    service = rendered[web_component(settings.version)].service
    if service is None:
        raise ValueError("the web component has no service")
    balancer = cast("elb.ApplicationLoadBalancer", context.bindings["Web"].connectable)
    return settings.web.serve(context.scope("Web"), balancer, service, health_path=web_health_path(settings.version))
