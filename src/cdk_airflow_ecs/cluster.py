"""AirflowCluster: resolve, plan, then five steps: bind, render, gate, connect, observe."""

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

    With no arguments: the newest Airflow this library knows, from the official image; Celery on ElastiCache (Valkey);
    PostgreSQL on RDS; DAGs from an S3 bucket of its own; an internal load balancer; every secret generated.

    Args:
        scope: its parent.
        construct_id: its id. Renaming it replaces everything, the database included.
        version: the Airflow release. The default is the newest; say it, so that upgrades are yours to choose.
        executor: what runs tasks. The default is ``CeleryExecutor()`` on Valkey with one worker.
        database: where metadata is kept. The default is ``RdsDatabase()``.
        dags: where DAGs come from. The default is ``S3Dags()``, a bucket of its own.
        image: what containers run. The default is the official image of *version*.
        logs: where task logs are kept. The default is ``S3Logs()``, a bucket of its own.
        log_router: where the output of containers goes. The default is ``AwsLogs()``: CloudWatch Logs.
        web: how people reach Airflow. The default is ``Web()``: internal, HTTP, from inside the VPC.
        config: Airflow options by section, ``{"core": {"parallelism": 64}}``, checked against *version*. Values are
            text, numbers, booleans, or ``ecs.Secret`` for options that Airflow calls sensitive.
        environment: more variables for every Airflow container; values are text or ``ecs.Secret``.
        api_server: size and number of the API server (the webserver in Airflow 2).
        scheduler: size and number of schedulers.
        dag_processor: size and number of DAG processors.
        triggerer: size and number of triggerers.
        vpc: the VPC. The default is one of its own: two zones, one NAT gateway, flow logs.
        task_subnets: where tasks run. The default is the private subnets with a route to the internet.
        store_subnets: where database and broker stand. The default is isolated subnets of the own VPC, or the private
            ones of yours. Fixed at creation: AWS moves neither of them.
        web_subnets: where the load balancer stands. The default is one in each zone, public if internet-facing,
            else private.
        encryption_key: encrypts secrets, database, broker, container logs and buckets. The default is a key of its own,
            which leaves buckets to keys of S3's. Fixed at creation.
        enable_exec: whether ``aws ecs execute-command`` may open a shell in tasks. The default is only in the web
            component, and only while the load balancer is internal: it is how the output OpenCommand reaches the UI.
        container_insights: whether CloudWatch keeps metrics of each service and task family, $0.30 a month each. The
            default is yes: about $30 for a cluster of five services. Services have CPU and memory metrics without.
        maintenance: keep every service at zero tasks, as moving from Airflow 2 to 3 needs.
        removal_policy: what happens to data when it leaves the stack. The default keeps buckets, keys and secrets, and
            takes a last snapshot of databases; ``RemovalPolicy.DESTROY`` deletes everything, for development.

    Raises:
        ValueError: for anything that cannot work, before the first resource is made.

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
        """Make what *plan* adds to the cluster in five steps: everything at first, later what was added."""
        warn(self, (*settings.advice, *check_secret_names(settings.may_hold_secrets())), self._warned)
        # Bind: what exists once.
        context = self._shared.bind(settings, plan)
        # Render: task definitions and services.
        rendered = render_components(plan.components, context, self._rendered)
        added = [part for name, part in rendered.items() if name not in self._rendered]
        # Gate: services wait for the migration.
        self._gate = gate_services(self._gate, context, rendered, added)
        # Connect: the load balancer, the plan's edges, DAG authors.
        self._targets = self._targets or serve_web(settings, context, rendered)
        edges = [edge for edge in plan.edges if edge not in self._plan.edges]
        groups = {name: part.peer for name, part in rendered.items()}
        connect(edges, groups, context.connectables(), peers(settings.web.allow_from, context.network.vpc))
        self._authors.admit(added, self._gate.resource)
        # Observe: outputs, scaling.
        observed = observe(rendered, context, targets=self._targets, internal=not settings.web.internet_facing)
        if self._observed is None:
            add_outputs(self, observed)
        attach_scaling(added, observed)
        self._plan, self._rendered, self._observed = plan, rendered, observed

    def add_worker_pool(self, pool: WorkerPool) -> None:
        """Add a pool of Celery workers; the template is the same as if the executor had been given it.

        Args:
            pool: its name, queues and size.

        Raises:
            ValueError: if the executor has no pools, or there is a pool of that name.

        Examples:
            >>> from aws_cdk import App, Stack
            >>> cluster = AirflowCluster(Stack(App(), "Data"), "Airflow", version=AirflowVersion.V3_3)
            >>> cluster.add_worker_pool(WorkerPool("heavy", cpu=4096, memory_mib=16384, spot=True))
            >>> cluster.plan.component("Pools/heavy").spot
            True
        """
        validation.instance("add_worker_pool", pool, WorkerPool, 'WorkerPool("heavy")')
        executor = self._arguments.executor or CeleryExecutor()
        self._grow(replace(self._arguments, executor=executor.with_pool(pool)))

    def add_ecs_task(
        self,
        name: str,
        *,
        image: ecs.ContainerImage | None = None,
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
        """Let DAGs start a container of yours with ``EcsRunTaskOperator``, each time on a Fargate machine of its own.

        DAGs find everything that the operator needs in one Airflow variable, ``ecs_<name>``::

            EcsRunTaskOperator(
                task_id="load",
                overrides={"containerOverrides": [{"name": "etl", "command": ["python", "load.py"]}]},
                **Variable.get("ecs_etl", deserialize_json=True),
            )

        Args:
            name: its name, also that of its container. Hyphens become underscores in the variable's name.
            image: what it runs, any image. The default is the cluster's own.
            entrypoint: what the container starts with. The default is what the image says.
            command: what follows the entry point, unless a DAG says otherwise. The default is what the image says.
            cpu: CPU units; 1024 is one vCPU.
            memory_mib: memory in MiB.
            ephemeral_storage_gib: disk, 21 to 200 GiB. The default is Fargate's 20 GiB.
            spot: run it on Fargate Spot, for up to 70 % less; AWS may stop it two minutes after a warning.
            architecture: the processor, "x86_64" or "arm64". The default is that of the cluster's image.
            environment: its variables; values are text or ``ecs.Secret``, which may be a parameter of SSM too. It gets
                nothing of Airflow's.
            task_role: its role. The default is one of its own that may do nothing; grant to what this method returns.

        Returns:
            What others may grant to and connect.

        Raises:
            ValueError: if an argument cannot work, or the name is taken.

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
        """Plan again with more *arguments*, and make what is new; if they are refused, nothing has changed."""
        settings = resolve(arguments)
        plan = plan_without_late_secrets(self, settings)
        self._arguments = arguments
        self._build(settings, plan)

    @property
    def plan(self) -> ClusterPlan:
        """What runs and who may talk to whom, as data; print it."""
        return self._plan

    @property
    def url(self) -> str:
        """Where people reach Airflow; a token until the stack is deployed."""
        return self._shared.url

    @property
    def connections(self) -> ec2.Connections:
        """The components that run DAG authors' code: ``cluster.connections.allow_to_default_port(db)``."""
        return self._authors.connections

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The task roles that run DAG authors' code: ``bucket.grant_read(cluster)``."""
        return self._authors.grant_principal

    @property
    def task_roles(self) -> Mapping[str, iam.IRole]:
        """The roles of :attr:`grant_principal` by component, for a grant or a policy that concerns one role."""
        return dict(self._authors.task_roles)

    @property
    def execution_roles(self) -> Mapping[str, iam.IRole]:
        """The roles that read secrets and pull images as tasks start, by component: ``key.grant_decrypt(role)``."""
        return {name: part.execution_role for name, part in self._rendered.items()}

    def service(self, component: str) -> ecs.BaseService:
        """The ECS service of *component*, such as "Scheduler"; their names are in ``cluster.plan``.

        Raises:
            KeyError: if no service has that name.
        """
        service = self._rendered[component].service if component in self._rendered else None
        if service is None:
            known = ", ".join(name for name, part in self._rendered.items() if part.service is not None)
            raise KeyError(f"no service {component!r}; there are {known}")
        return service
