"""Everything that exists once, made in the construct tree that is frozen from the first release.

``Vpc, Cluster, Namespace, Database, Broker, Dags, Logs, Secrets/<name>, Web, Gate, Components/<name>, Pools/<name>,
Tasks/<name>, Images/<name>``; docs/how-to/escape-hatches.md has all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, cast

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_logs as logs
from aws_cdk import aws_servicediscovery as servicediscovery
from constructs import Construct

from cdk_airflow_ecs.airflow import EXECUTION_API_NAME, EXECUTION_API_PORT, web_component, web_health_path
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.buckets import access_log_bucket, emptying
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.logs.retention import keep
from cdk_airflow_ecs.nag import acknowledge
from cdk_airflow_ecs.network import bind_namespace, build_network, namespace_name
from cdk_airflow_ecs.render import tasks_of
from cdk_airflow_ecs.render_context import Image, RenderContext, RenderedComponent
from cdk_airflow_ecs.secrets import bind_secrets, cluster_key, key_peer, let_logs_use

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_kms as kms
    from constructs import IDependable

    from cdk_airflow_ecs.executors.base import ExecutorPlan
    from cdk_airflow_ecs.network import Subnets
    from cdk_airflow_ecs.plan import ClusterPlan, Component
    from cdk_airflow_ecs.settings import Settings


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


class SharedResources:
    """What exists once, and the scopes that things are made in. It grows with the cluster, and never shrinks."""

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
        """Make or find what every cluster has. The arguments are those of ``AirflowCluster``, its subnets by name."""
        self._root = root
        self.scope = Scopes(root)
        acknowledge(
            root,
            "AwsSolutions-ECS2",
            "Plain variables hold no secret, which a test checks; secrets come from Secrets Manager",
        )
        acknowledge(
            root,
            "AwsSolutions-SMG4",
            "ECS reads secrets when a task starts: a rotation that does not restart the services is an outage",
        )
        secrets_scope, logs_scope = self.scope("Secrets"), self.scope("Logs")
        key = encryption_key or cluster_key(secrets_scope, removal_policy=removal_policy)
        let_logs_use(key)
        self.key = key_peer(secrets_scope, key)
        self.network = build_network(
            root,
            vpc=vpc,
            subnets=subnets,
            internet_facing=settings.web.internet_facing,
            key=self.key,
        )
        self._context = BindContext(
            network=self.network,
            key=self.key,
            # Whoever uploads DAGs needs rights to the key then, so a key that nobody asked for does not reach buckets.
            bucket_key=None if encryption_key is None else self.key,
            access_logs=access_log_bucket(logs_scope, removal_policy=removal_policy),
            removal_policy=removal_policy,
            namespace=namespace_name(root),
        )
        self.log_group = logs.LogGroup(
            logs_scope,
            "Containers",
            retention=logs.RetentionDays.INFINITE,
            encryption_key=self.key,
            removal_policy=removal_policy or RemovalPolicy.RETAIN,
        )
        keep(self.log_group, settings.log_router.kept_days)
        self._cluster = ecs.Cluster(
            root,
            "Cluster",
            vpc=self.network.vpc,
            container_insights_v2=(
                ecs.ContainerInsights.ENABLED if settings.container_insights else ecs.ContainerInsights.DISABLED
            ),
            # Says nothing of whether a shell may be opened; if one is, what is typed there is logged.
            execute_command_configuration=ecs.ExecuteCommandConfiguration(
                logging=ecs.ExecuteCommandLogging.OVERRIDE,
                log_configuration=ecs.ExecuteCommandLogConfiguration(cloud_watch_log_group=self.log_group),
            ),
        )
        if not settings.container_insights:
            acknowledge(
                self._cluster, "AwsSolutions-ECS4", "Each metric costs $0.30 a month; the user asked for none of them"
            )
        stack = Stack.of(root)
        self._trust = tasks_of(stack)
        self._stores: dict[str, ClusterResource] = {}
        self._bindings = {
            "Stack": Binding(attributes={"region": stack.region}),
            **bind_secrets(secrets_scope, self._context, execution_api=settings.version.major >= 3),
            "Cluster": Binding(
                attributes={
                    "arn": self._cluster.cluster_arn,
                    "name": self._cluster.cluster_name,
                    "tasks_arn": stack.format_arn(
                        service="ecs", resource="task", resource_name=f"{self._cluster.cluster_name}/*"
                    ),
                    "instances_arn": stack.format_arn(
                        service="ecs", resource="container-instance", resource_name=f"{self._cluster.cluster_name}/*"
                    ),
                }
            ),
            "Network": Binding(attributes=self.network.attributes),
            "ContainerLogs": Binding(attributes={"name": self.log_group.log_group_name}),
            "ExecutionApi": Binding(
                attributes={
                    "url": f"http://{EXECUTION_API_NAME}.{self._context.namespace}:{EXECUTION_API_PORT}/execution/"
                }
            ),
        }
        self._namespace: servicediscovery.INamespace | None = None
        self._spot: ecs.CfnClusterCapacityProviderAssociations | None = None
        self._images: dict[tuple[str, str], Image] = {}

    def context(self, settings: Settings, plan: ClusterPlan) -> RenderContext:
        """Make what *plan* needs beyond what there is, and say where its components are rendered."""
        executor = settings.executor_plan()
        for name, store in settings.resources().items():
            if self._stores.get(name) != store:
                self._bindings[name] = store.bind(self.scope(name), self._context)
                self._stores[name] = store
        self._bindings["Given"] = Binding(secrets=settings.given_secrets)
        if self._namespace is None and any(component.dns_name for component in plan.components):
            self._namespace = bind_namespace(self._root, self.network, self._context.namespace)
        if self._spot is None and (executor.spot or any(component.spot for component in plan.components)):
            # As the cluster's own method would make it, which does so too late for others to depend on it.
            self._spot = ecs.CfnClusterCapacityProviderAssociations(
                self._cluster,
                self._cluster.node.id,
                cluster=self._cluster.cluster_name,
                capacity_providers=["FARGATE", "FARGATE_SPOT"],
                default_capacity_provider_strategy=[],
            )
        return RenderContext(
            cluster=self._cluster,
            spot=self._spot,
            network=self.network,
            image=partial(self._image, settings, executor),
            log_group=self.log_group,
            log_router=settings.log_router,
            bindings=self._bindings,
            trust=self._trust,
            namespace=self._namespace,
            task_roles={task.component: task.task_role for task in settings.ecs_tasks if task.task_role is not None},
        )

    def _image(self, settings: Settings, executor: ExecutorPlan, component: Component) -> Image:
        """Find the image of *component*: built once for each processor, however many run it."""
        place = component.image, component.architecture
        if place not in self._images:
            self._images[place] = self._make_image(settings, executor, component)
        return self._images[place]

    def _make_image(self, settings: Settings, executor: ExecutorPlan, component: Component) -> Image:
        given = {task.component: task.image for task in settings.ecs_tasks}.get(component.image)
        if given is not None:
            # Whatever is not in another registry: a repository, or an asset.
            return Image(container_image=given, in_ecr=not isinstance(given, ecs.RepositoryImage))
        if component.is_store:
            return Image(container_image=ecs.ContainerImage.from_registry(component.image))
        image = settings.images()[component.image]
        source = image.source
        made = source.container_image(
            self.scope(f"Images/{component.image.replace('/', '-')}"),
            version=settings.version,
            architecture=component.architecture,
            requirements=executor.requirements,
            files=executor.image_files,
        )
        in_ecr = source.in_ecr or bool(source.takes_requirements and (executor.requirements or executor.image_files))
        login = None if in_ecr else source.credentials
        key = None if login is None else login.encryption_key
        return Image(container_image=made, entrypoint=image.entrypoint, in_ecr=in_ecr, login_key=key)

    @property
    def url(self) -> str:
        """Where people reach Airflow."""
        return self._bindings["Web"].text("url")

    def connectables(self) -> dict[str, ec2.IConnectable]:
        """What stands at the ends of edges, by name."""
        found = {name: binding.connectable for name, binding in self._bindings.items()}
        return {name: end for name, end in found.items() if end is not None}

    def dependencies(self) -> list[IDependable]:
        """Return what the migration waits for: stores, the rules that admit components to them, and routes.

        CloudFormation deletes the gate before all of it: tasks that no service runs use it until the gate stops them.
        """
        stores = [end for name, end in self.connectables().items() if name != "Web"]
        groups = [group for end in stores for group in end.connections.security_groups]
        bound = [
            dependency
            for name, binding in self._bindings.items()
            if name != "Web"
            for dependency in binding.dependencies
        ]
        logs = emptying(self._context.access_logs)
        return [*bound, *groups, *logs, *self.network.task_routes, *self.network.endpoints]

    def serve_web(self, settings: Settings, rendered: Mapping[str, RenderedComponent]) -> RenderedComponent:
        """Put the web component behind the load balancer."""
        web = rendered[web_component(settings.version)]
        if web.service is None:
            raise ValueError("the web component has no service")
        balancer = cast("elb.ApplicationLoadBalancer", self._bindings["Web"].connectable)
        settings.web.serve(self.scope("Web"), balancer, web.service, health_path=web_health_path(settings.version))
        return web
