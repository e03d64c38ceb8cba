"""AirflowCluster: resolve, plan, bind, render, gate, connect, observe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import jsii
from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_airflow_ecs.advice import warn
from cdk_airflow_ecs.capacity.checks import check_addresses
from cdk_airflow_ecs.cluster_additions import ClusterAdditions
from cdk_airflow_ecs.cluster_arguments import ClusterArguments
from cdk_airflow_ecs.commands.attach import attach_airflow_tasks
from cdk_airflow_ecs.dag_authors import DagAuthors
from cdk_airflow_ecs.executors.bind import bind_executor
from cdk_airflow_ecs.late_secrets import plan_without_late_secrets
from cdk_airflow_ecs.migration.order import gate_services
from cdk_airflow_ecs.monitoring.cluster_metrics import ClusterMetrics
from cdk_airflow_ecs.monitoring.monitor import monitor
from cdk_airflow_ecs.monitoring.observe import attach_scaling, observe
from cdk_airflow_ecs.monitoring.outputs import add_outputs
from cdk_airflow_ecs.network import connect, peers
from cdk_airflow_ecs.place import check_place
from cdk_airflow_ecs.plan import ClusterPlan
from cdk_airflow_ecs.resolve import check_constructs, resolve
from cdk_airflow_ecs.secret_names import check_secret_names
from cdk_airflow_ecs.shared_resources import SharedResources, serve_web
from cdk_airflow_ecs.subnets import check_network
from cdk_airflow_ecs.task_definitions import render_components

if TYPE_CHECKING:
    from aws_cdk import aws_elasticloadbalancingv2 as elb
    from aws_cdk import aws_kms as kms

    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.capacity.service import Service
    from cdk_airflow_ecs.commands.database_cleanup import DatabaseCleanup
    from cdk_airflow_ecs.dags.base import DagSource
    from cdk_airflow_ecs.databases.base import Database
    from cdk_airflow_ecs.executors.base import Executor
    from cdk_airflow_ecs.images.airflow_image import AirflowImage
    from cdk_airflow_ecs.logs.base import LogStore
    from cdk_airflow_ecs.logs.router import LogRouter
    from cdk_airflow_ecs.migration.gate import Gate
    from cdk_airflow_ecs.monitoring.monitoring import Monitoring
    from cdk_airflow_ecs.monitoring.observed import ObservedCluster
    from cdk_airflow_ecs.network import Network
    from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent
    from cdk_airflow_ecs.settings import Settings
    from cdk_airflow_ecs.web.web import Web


@jsii.implements(ec2.IConnectable, iam.IGrantable)
class AirflowCluster(ClusterAdditions, ClusterMetrics, Construct):
    """Apache Airflow on Amazon ECS, ready for production.

    The default cluster runs the newest supported Airflow with Celery on ElastiCache (Valkey), PostgreSQL on RDS and an
    internal load balancer.

    Args:
        scope: the parent.
        construct_id: the construct id. A new id replaces all resources, including the database.
        version: the Airflow release. The default is the newest supported; set it to control upgrades.
        executor: the executor. The default is ``CeleryExecutor()``.
        database: the metadata database. The default is ``RdsDatabase()``.
        dags: the source of DAGs. The default is ``S3Dags()``, a new bucket.
        image: the image of Airflow's containers. The default is the official image of *version*.
        logs: the store of task logs. The default is ``S3Logs()``, a new bucket.
        log_router: the destination of container output. The default is ``AwsLogs()``, CloudWatch Logs.
        web: access to the UI and API. The default is ``Web()``: HTTP, only from the VPC.
        config: Airflow options by section, ``{"core": {"parallelism": 64}}``. Values are text, numbers, booleans, or
            ``ecs.Secret`` for options that Airflow declares sensitive.
        environment: environment variables of Airflow's containers; values are text or ``ecs.Secret``.
        api_server: size and count of API servers (webservers in Airflow 2).
        scheduler: size and count of schedulers.
        dag_processor: size and count of DAG processors.
        triggerer: size and count of triggerers.
        vpc: the VPC. The default is a new one with two zones, one NAT gateway and flow logs.
        task_subnets: subnets of tasks. The default is private ones with internet access.
        store_subnets: subnets of database and broker, fixed at creation. The default is isolated ones of a new VPC, or
            private ones of yours.
        web_subnets: subnets of the load balancer. The default is public ones if internet-facing, otherwise private.
        encryption_key: the key for secrets, database, broker, container logs and buckets, fixed at creation. The
            default is a new key, and S3-managed keys for buckets.
        enable_exec: whether ``aws ecs execute-command`` may open shells in tasks. By default, only the web component
            behind an internal load balancer allows it, because the tunnel of the stack's output OpenCommand needs it.
        container_insights: whether to collect Container Insights metrics, about $30 a month for five services. Without
            them, only the CPU and memory metrics of services exist.
        monitoring: alarms and a dashboard, ``Monitoring(alarm_topic=topic)``. The default is none.
        maintenance: set all services to zero tasks, for upgrades from Airflow 2 to 3.
        maintenance_tasks: scheduled care of the database, such as ``[DatabaseCleanup(keep_days=90)]``.
        snapshot_before_migration: whether to take a snapshot of the database before a migration to another minor or
            major release. The default is True for ``RdsDatabase`` and ``AuroraDatabase``, which support it.
        removal_policy: the removal policy of data. The default keeps buckets, keys and secrets, and takes a final
            snapshot of databases; ``RemovalPolicy.DESTROY`` deletes everything, for development.

    Raises:
        ValueError: for invalid or incompatible arguments.

    Examples:
        >>> from aws_cdk import App, Stack
        >>> cluster = AirflowCluster(Stack(App(), "Data"), "Airflow", version=AirflowVersion.V3_3)
        >>> cluster.plan.component("Scheduler").cpu
        1024
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        version: AirflowVersion | None = None,
        executor: Executor | None = None,
        database: Database | None = None,
        dags: DagSource | None = None,
        image: AirflowImage | None = None,
        logs: LogStore | None = None,
        log_router: LogRouter | None = None,
        web: Web | None = None,
        config: Mapping[str, Mapping[str, object]] | None = None,
        environment: Mapping[str, str | ecs.Secret] | None = None,
        api_server: Service | None = None,
        scheduler: Service | None = None,
        dag_processor: Service | None = None,
        triggerer: Service | None = None,
        vpc: ec2.IVpc | None = None,
        task_subnets: ec2.SubnetSelection | None = None,
        store_subnets: ec2.SubnetSelection | None = None,
        web_subnets: ec2.SubnetSelection | None = None,
        encryption_key: kms.IKey | None = None,
        enable_exec: bool | None = None,
        container_insights: bool = True,
        monitoring: Monitoring | None = None,
        maintenance: bool = False,
        maintenance_tasks: Sequence[DatabaseCleanup] = (),
        snapshot_before_migration: bool | None = None,
        removal_policy: RemovalPolicy | None = None,
    ) -> None:
        subnets = {"task_subnets": task_subnets, "store_subnets": store_subnets, "web_subnets": web_subnets}
        check_constructs(
            scope, construct_id, subnets=subnets, vpc=vpc, encryption_key=encryption_key, removal_policy=removal_policy
        )
        self._arguments = ClusterArguments(
            version=version,
            executor=executor,
            database=database,
            dags=dags,
            image=image,
            logs=logs,
            log_router=log_router,
            web=web,
            config=config,
            environment=environment,
            services={
                "ApiServer": api_server,
                "Scheduler": scheduler,
                "DagProcessor": dag_processor,
                "Triggerer": triggerer,
            },
            enable_exec=enable_exec,
            container_insights=container_insights,
            maintenance=maintenance,
            maintenance_tasks=maintenance_tasks,
            snapshot_before_migration=snapshot_before_migration,
            monitoring=monitoring,
        )
        settings = resolve(self._arguments)
        plan = plan_without_late_secrets(scope, settings)
        checks: list[Callable[[Network | None], None]] = [
            *(resource.check for resource in settings.resources().values()),
            partial(check_addresses, plan.components),
        ]
        check_network(vpc, subnets, checks, internet_facing=settings.web.internet_facing)
        check_place(scope, plan, vpc=vpc, certificate=settings.web.certificate, alarm_topic=settings.alarm_topic)
        super().__init__(scope, construct_id)
        self._shared = SharedResources(
            self, settings, vpc=vpc, subnets=subnets, encryption_key=encryption_key, removal_policy=removal_policy
        )
        check_addresses(plan.components, self._shared.network)
        self._authors = DagAuthors(self)
        self._plan = ClusterPlan(components=(), edges=())
        self._rendered: dict[str, RenderedComponent] = {}
        self._warned: set[str] = set()
        self._gate: Gate | None = None
        self._targets: elb.ApplicationTargetGroup | None = None
        self._observed: ObservedCluster | None = None
        self._build(settings, plan)
        bind_executor(settings.executor, self._rendered, self._shared.ecs_cluster)

    def _build(self, settings: Settings, plan: ClusterPlan) -> RenderContext:
        warn(self, (*settings.advice, *check_secret_names(settings.may_hold_secrets(), self)), self._warned)
        # Bind: create cluster resources.
        context = self._shared.bind(settings, plan)
        # Render: task definitions and services.
        rendered = render_components(plan.components, context, self._rendered)
        added = [part for name, part in rendered.items() if name not in self._rendered]
        # Gate: services wait for the migration.
        self._gate = gate_services(self._gate, settings, context, rendered, added)
        # Connect: create rules for the load balancer, the plan's edges and DAG authors' grants.
        self._targets = self._targets or serve_web(settings, context, rendered)
        edges = [edge for edge in plan.edges if edge not in self._plan.edges]
        groups = {name: part.peer for name, part in rendered.items()}
        connect(edges, groups, context.connectables(), peers(settings.web.allow_from, context.network.vpc))
        self._authors.admit(added, self._gate.resource)
        attach_airflow_tasks(settings, added, rendered, context, self._gate.resource)
        # Observe: add outputs, scaling and alarms.
        observed = observe(rendered, context, targets=self._targets, internal=not settings.web.internet_facing)
        if self._observed is None:
            add_outputs(self, observed)
        attach_scaling(added, observed, maintenance=settings.maintenance)
        monitor(settings, rendered, context, observed, self._gate)
        self._plan, self._rendered, self._observed = plan, rendered, observed
        return replace(context, rendered=rendered)

    def _grow(self, arguments: ClusterArguments) -> RenderContext:
        """Add what *arguments* contain in addition to the present cluster, or raise an error and change nothing."""
        settings = resolve(arguments)
        plan = plan_without_late_secrets(self, settings)
        check_addresses(plan.components, self._shared.network)
        self._arguments = arguments
        return self._build(settings, plan)

    @property
    def plan(self) -> ClusterPlan:
        """The cluster's components and permitted connections, as data."""
        return self._plan

    @property
    def url(self) -> str:
        """The URL of Airflow's UI and API, as a token."""
        return self._shared.url

    @property
    def connections(self) -> ec2.Connections:
        """Security groups that run DAG authors' code: ``cluster.connections.allow_to_default_port(db)``."""
        return self._authors.connections

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """Task roles that run DAG authors' code: ``bucket.grant_read(cluster)``."""
        return self._authors.grant_principal

    @property
    def task_roles(self) -> Mapping[str, iam.IRole]:
        """The task roles of :attr:`grant_principal` by component name, for grants to a single component."""
        return dict(self._authors.task_roles)

    @property
    def execution_roles(self) -> Mapping[str, iam.IRole]:
        """The execution roles by component name. They read secrets and pull images: ``key.grant_decrypt(role)``."""
        return {name: part.execution_role for name, part in self._rendered.items()}

    def service(self, component: str) -> ecs.BaseService:
        """Return the ECS service of *component*, such as "Scheduler".

        Raises:
            KeyError: if *component* has no service.
        """
        service = self._rendered[component].service if component in self._rendered else None
        if service is None:
            known = ", ".join(name for name, part in self._rendered.items() if part.service is not None)
            raise KeyError(f"component must be one of {known}, got {component!r}")
        return service
