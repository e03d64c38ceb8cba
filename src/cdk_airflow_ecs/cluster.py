"""AirflowCluster: resolve, plan, bind, render, gate, connect, observe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import jsii
from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.advice import warn
from cdk_airflow_ecs.capacity.pools import WorkerPool
from cdk_airflow_ecs.cluster_arguments import ClusterArguments
from cdk_airflow_ecs.dag_authors import DagAuthors
from cdk_airflow_ecs.ecs_task import EcsTask, EcsTaskHandle
from cdk_airflow_ecs.executors.bind import bind_executor
from cdk_airflow_ecs.executors.celery import CeleryExecutor
from cdk_airflow_ecs.late_secrets import plan_without_late_secrets
from cdk_airflow_ecs.migration.order import gate_services
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
    from aws_cdk import aws_secretsmanager as secretsmanager

    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.capacity.service import Service
    from cdk_airflow_ecs.dags.base import DagSource
    from cdk_airflow_ecs.databases.base import Database
    from cdk_airflow_ecs.executors.base import Executor
    from cdk_airflow_ecs.images.airflow_image import AirflowImage
    from cdk_airflow_ecs.logs.base import LogStore
    from cdk_airflow_ecs.logs.router import LogRouter
    from cdk_airflow_ecs.migration.gate import Gate
    from cdk_airflow_ecs.monitoring.observed import ObservedCluster
    from cdk_airflow_ecs.plan import Architecture
    from cdk_airflow_ecs.render_context import RenderedComponent
    from cdk_airflow_ecs.settings import Settings
    from cdk_airflow_ecs.web.web import Web


@jsii.implements(ec2.IConnectable, iam.IGrantable)
class AirflowCluster(Construct):
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
        maintenance: set all services to zero tasks, for upgrades from Airflow 2 to 3.
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
        maintenance: bool = False,
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
        )
        settings = resolve(self._arguments)
        plan = plan_without_late_secrets(scope, settings)
        checks = [resource.check for resource in settings.resources().values()]
        check_network(vpc, subnets, checks, internet_facing=settings.web.internet_facing)
        check_place(scope, plan, vpc=vpc, certificate=settings.web.certificate)
        super().__init__(scope, construct_id)
        self._shared = SharedResources(
            self, settings, vpc=vpc, subnets=subnets, encryption_key=encryption_key, removal_policy=removal_policy
        )
        self._authors = DagAuthors(self)
        self._plan = ClusterPlan(components=(), edges=())
        self._rendered: dict[str, RenderedComponent] = {}
        self._warned: set[str] = set()
        self._gate: Gate | None = None
        self._targets: elb.ApplicationTargetGroup | None = None
        self._observed: ObservedCluster | None = None
        self._build(settings, plan)
        bind_executor(settings.executor, self._rendered, self._shared.ecs_cluster)

    def _build(self, settings: Settings, plan: ClusterPlan) -> None:
        warn(self, (*settings.advice, *check_secret_names(settings.may_hold_secrets())), self._warned)
        # Bind: create cluster resources.
        context = self._shared.bind(settings, plan)
        # Render: task definitions and services.
        rendered = render_components(plan.components, context, self._rendered)
        added = [part for name, part in rendered.items() if name not in self._rendered]
        # Gate: services wait for the migration.
        self._gate = gate_services(self._gate, context, rendered, added)
        # Connect: create rules for the load balancer, the plan's edges and DAG authors' grants.
        self._targets = self._targets or serve_web(settings, context, rendered)
        edges = [edge for edge in plan.edges if edge not in self._plan.edges]
        groups = {name: part.peer for name, part in rendered.items()}
        connect(edges, groups, context.connectables(), peers(settings.web.allow_from, context.network.vpc))
        self._authors.admit(added, self._gate.resource)
        # Observe: add outputs and scaling.
        observed = observe(rendered, context, targets=self._targets, internal=not settings.web.internet_facing)
        if self._observed is None:
            add_outputs(self, observed)
        attach_scaling(added, observed)
        self._plan, self._rendered, self._observed = plan, rendered, observed

    def add_worker_pool(self, pool: WorkerPool) -> None:
        """Add a pool of Celery workers, as if it were in ``CeleryExecutor(pools=[…])``.

        Args:
            pool: name, queues and size of the pool.

        Raises:
            ValueError: if the executor does not support pools, or a pool has this name.

        Examples:
            >>> from aws_cdk import App, Stack
            >>> cluster = AirflowCluster(Stack(App(), "Data"), "Airflow", version=AirflowVersion.V3_3)
            >>> cluster.add_worker_pool(WorkerPool("heavy", cpu=4096, memory_mib=16384, spot=True))
            >>> cluster.plan.component("Pools/heavy").spot
            True
        """
        validation.instance("add_worker_pool(pool)", pool, WorkerPool, 'WorkerPool("heavy")')
        executor = self._arguments.executor or CeleryExecutor()
        self._grow(replace(self._arguments, executor=executor.with_pool(pool)))

    def add_ecs_task(
        self,
        name: str,
        *,
        image: ecs.ContainerImage | str | None = None,
        credentials: secretsmanager.ISecret | None = None,
        entrypoint: Sequence[str] = (),
        command: Sequence[str] = (),
        cpu: int = 1024,
        memory_mib: int = 2048,
        ephemeral_storage_gib: int | None = None,
        spot: bool = False,
        architecture: Architecture | None = None,
        environment: Mapping[str, str | ecs.Secret] | None = None,
        task_role: iam.IRole | None = None,
    ) -> EcsTaskHandle:
        """Define an ECS task that DAGs start on Fargate with ``EcsRunTaskOperator``.

        The Airflow variable ``ecs_<name>`` contains the operator's arguments::

            EcsRunTaskOperator(
                task_id="load",
                overrides={"containerOverrides": [{"name": "etl", "command": ["python", "load.py"]}]},
                **Variable.get("ecs_etl", deserialize_json=True),
            )

        Args:
            name: name of the task and its container; hyphens become underscores in the variable.
            image: a ``ecs.ContainerImage``, or an image's name in a registry. The default is the cluster's image.
            credentials: secret with username and password for the registry of an image given by name.
            entrypoint: the entry point. The default is that of the image.
            command: the command, which a DAG can override. The default is that of the image.
            cpu: CPU units; 1024 is one vCPU.
            memory_mib: memory in MiB.
            ephemeral_storage_gib: disk, 21 to 200 GiB. The default is Fargate's 20 GiB.
            spot: use Fargate Spot: up to 70 % cheaper, but AWS may stop the task with two minutes' notice.
            architecture: "x86_64" or "arm64". The default is that of the cluster's image.
            environment: environment variables; values are text or ``ecs.Secret``. Those of Airflow's containers are not
                added.
            task_role: the task role. The default is a new role; use the returned handle to grant permissions.

        Returns:
            A handle for grants and connections.

        Raises:
            ValueError: for an invalid argument, or a duplicate name.

        Examples:
            >>> from aws_cdk import App, Stack
            >>> from aws_cdk import aws_ecs as ecs
            >>> cluster = AirflowCluster(Stack(App(), "Data"), "Airflow", version=AirflowVersion.V3_3)
            >>> etl = cluster.add_ecs_task("etl", image=ecs.ContainerImage.from_registry("python:3.13"), cpu=4096,
            ...     memory_mib=16384)
            >>> etl.variable
            'ecs_etl'
        """
        task = EcsTask(
            name=name,
            image=image,
            credentials=credentials,
            entrypoint=entrypoint,
            command=command,
            cpu=cpu,
            memory_mib=memory_mib,
            ephemeral_storage_gib=ephemeral_storage_gib,
            spot=spot,
            architecture=architecture,
            environment={} if environment is None else environment,
            task_role=task_role,
        )
        self._grow(replace(self._arguments, ecs_tasks=(*self._arguments.ecs_tasks, task)))
        return EcsTaskHandle(self._rendered[task.component], task.variable)

    def _grow(self, arguments: ClusterArguments) -> None:
        """Add what *arguments* contain in addition to the present cluster, or raise an error and change nothing."""
        settings = resolve(arguments)
        plan = plan_without_late_secrets(self, settings)
        self._arguments = arguments
        self._build(settings, plan)

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
