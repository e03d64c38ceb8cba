"""Everything that exists once, made in the construct tree that is frozen from the first release.

``Vpc, Cluster, Image, Database, Broker, Dags, Logs, Secrets/<name>, Web, Gate, Components/<name>,
Pools/<name>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_logs as logs
from aws_cdk import aws_servicediscovery as servicediscovery
from constructs import Construct

from cdk_airflow_ecs.airflow import EXECUTION_API_PORT, web_component, web_health_path
from cdk_airflow_ecs.binding import Binding, Foundation
from cdk_airflow_ecs.buckets import access_log_bucket
from cdk_airflow_ecs.executors.base import ExecutorContext
from cdk_airflow_ecs.network import bind_namespace, build_network, namespace_name
from cdk_airflow_ecs.render import Rendered, Site, tasks_of
from cdk_airflow_ecs.secrets import bind_secrets, cluster_key, key_peer, let_logs_use

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_kms as kms
    from constructs import IDependable

    from cdk_airflow_ecs.settings import Settings

_EXECUTION_API = "execution-api"


class Scopes:
    """The constructs of the tree by their path below the cluster, each made when it is first asked for."""

    def __init__(self, root: Construct) -> None:
        self._made = {"": root}

    def __call__(self, path: str) -> Construct:
        """Find or make the construct at *path*."""
        if path not in self._made:
            parent, _, name = path.rpartition("/")
            self._made[path] = Construct(self(parent), name)
        return self._made[path]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What exists once, and the scopes that things are made in."""

    scope: Scopes
    settings: Settings
    site: Site
    key: kms.IKey
    namespace: servicediscovery.INamespace | None

    def connectables(self) -> dict[str, ec2.IConnectable]:
        """What stands at the ends of edges, by name."""
        found = {name: binding.connectable for name, binding in self.site.bindings.items()}
        return {name: end for name, end in found.items() if end is not None}

    def dependencies(self) -> list[IDependable]:
        """What the migration must wait for: the database, and the rules that admit components to stores."""
        stores = [end for name, end in self.connectables().items() if name != "Web"]
        groups = [group for end in stores for group in end.connections.security_groups]
        return [*self.site.bindings["Database"].dependencies, *groups]

    def serve_web(self, rendered: Mapping[str, Rendered]) -> Rendered:
        """Put the web component behind the load balancer, and give its execution API a name."""
        settings = self.settings
        web = rendered[web_component(settings.version)]
        service = web.service
        if service is None:
            raise ValueError("the web component has no service")
        balancer = cast("elb.ApplicationLoadBalancer", self.site.bindings["Web"].connectable)
        settings.web.serve(self.scope("Web"), balancer, service, health_path=web_health_path(settings.version))
        if self.namespace is not None:
            service.enable_cloud_map(
                name=_EXECUTION_API,
                cloud_map_namespace=self.namespace,
                dns_ttl=Duration.seconds(10),
            )
        return web


def bind_stores(
    root: Construct,
    settings: Settings,
    *,
    vpc: ec2.IVpc | None,
    task_subnets: ec2.SubnetSelection | None,
    store_subnets: ec2.SubnetSelection | None,
    web_subnets: ec2.SubnetSelection | None,
    encryption_key: kms.IKey | None,
    removal_policy: RemovalPolicy | None,
    exec_enabled: bool,
) -> World:
    """Make or find everything that exists once. The arguments are those of ``AirflowCluster``."""
    scope = Scopes(root)
    secrets_scope, logs_scope = scope("Secrets"), scope("Logs")
    key = encryption_key or cluster_key(secrets_scope, removal_policy=removal_policy)
    let_logs_use(key)
    key = key_peer(secrets_scope, key)
    network = build_network(
        root,
        vpc=vpc,
        task_subnets=task_subnets,
        store_subnets=store_subnets,
        web_subnets=web_subnets,
        internet_facing=settings.web.internet_facing,
        key=key,
    )
    foundation = Foundation(
        network=network,
        key=key,
        access_logs=access_log_bucket(logs_scope, removal_policy=removal_policy),
        removal_policy=removal_policy,
    )
    log_group = logs.LogGroup(
        logs_scope,
        "Containers",
        retention=logs.RetentionDays.ONE_MONTH,
        encryption_key=key,
        removal_policy=removal_policy or RemovalPolicy.RETAIN,
    )
    stack = Stack.of(root)
    execution_api = settings.version.major >= 3
    executor = settings.executor.plan(ExecutorContext(version=settings.version))
    stores = {
        "Database": settings.database,
        "Dags": settings.dags,
        "Logs": settings.logs,
        "Web": settings.web,
        **executor.stores,
    }
    bindings = {
        "Stack": Binding(attributes={"region": stack.region}),
        "Given": Binding(secrets=settings.given_secrets),
        **bind_secrets(secrets_scope, foundation, execution_api=execution_api),
        **{name: store.bind(scope(name), foundation) for name, store in stores.items()},
    }
    namespace = None
    if execution_api:
        name = namespace_name(root)
        namespace = bind_namespace(root, network, name)
        url = f"http://{_EXECUTION_API}.{name}:{EXECUTION_API_PORT}/execution/"
        bindings["ExecutionApi"] = Binding(attributes={"url": url})
    cluster = ecs.Cluster(
        root,
        "Cluster",
        vpc=network.vpc,
        container_insights_v2=ecs.ContainerInsights.ENABLED,
        enable_fargate_capacity_providers=executor.spot or None,
        execute_command_configuration=(
            ecs.ExecuteCommandConfiguration(
                logging=ecs.ExecuteCommandLogging.OVERRIDE,
                log_configuration=ecs.ExecuteCommandLogConfiguration(cloud_watch_log_group=log_group),
            )
            if exec_enabled
            else None
        ),
    )
    bindings["Cluster"] = Binding(
        attributes={
            "arn": cluster.cluster_arn,
            "name": cluster.cluster_name,
            "tasks_arn": stack.format_arn(service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*"),
        }
    )
    bindings["Network"] = Binding(
        attributes={
            "task_subnets": ",".join(network.task_subnet_ids),
            "assign_public_ip": str(network.assign_public_ip),
        }
    )
    site = Site(
        cluster=cluster,
        network=network,
        image=settings.image,
        container_image=settings.image.container_image(
            scope("Image"), version=settings.version, architecture=settings.image.architecture
        ),
        platform=settings.image.platform(),
        log_group=log_group,
        bindings=bindings,
        trust=tasks_of(stack),
    )
    return World(scope=scope, settings=settings, site=site, key=key, namespace=namespace)
