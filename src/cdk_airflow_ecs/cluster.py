"""AirflowCluster: resolve, plan, bind, render, connect, and what others may do with the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import jsii
from aws_cdk import Annotations, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_airflow_ecs.migration.gate import build_gate, hold
from cdk_airflow_ecs.network import connect, peers
from cdk_airflow_ecs.outputs import add_outputs
from cdk_airflow_ecs.plan import ClusterPlan
from cdk_airflow_ecs.planning import plan_cluster
from cdk_airflow_ecs.render import render_all
from cdk_airflow_ecs.settings import check_constructs, resolve
from cdk_airflow_ecs.world import bind_stores

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms

    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.capacity.service import Service
    from cdk_airflow_ecs.dags.base import DagSource
    from cdk_airflow_ecs.databases.base import Database
    from cdk_airflow_ecs.executors.base import Executor
    from cdk_airflow_ecs.images.registry import AirflowImage
    from cdk_airflow_ecs.logs.base import LogStore
    from cdk_airflow_ecs.web import Web


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
        web_subnets: where the load balancer stands. The default is public subnets if internet-facing, else private.
        encryption_key: encrypts secrets, database, broker and container logs. The default is a key of its own. Fixed at
            creation.
        enable_exec: whether ``aws ecs execute-command`` may open a shell in tasks. The default is only in the web
            component, and only while the load balancer is internal: it is how the output OpenCommand reaches the UI.
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
        maintenance: bool = False,
        removal_policy: RemovalPolicy | None = None,
    ) -> None:
        check_constructs(
            scope,
            construct_id,
            subnets={"task_subnets": task_subnets, "store_subnets": store_subnets, "web_subnets": web_subnets},
            vpc=vpc,
            encryption_key=encryption_key,
            removal_policy=removal_policy,
        )
        settings = resolve(
            version=version,
            executor=executor,
            database=database,
            dags=dags,
            image=image,
            logs=logs,
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
            maintenance=maintenance,
        )
        plan = plan_cluster(settings)

        super().__init__(scope, construct_id)
        for advice in settings.advice:
            Annotations.of(self).add_warning_v2(advice.id, advice.text)
        world = bind_stores(
            self,
            settings,
            vpc=vpc,
            task_subnets=task_subnets,
            store_subnets=store_subnets,
            web_subnets=web_subnets,
            encryption_key=encryption_key,
            removal_policy=removal_policy,
            exec_enabled=any(component.enable_exec for component in plan.components),
        )
        rendered = render_all(world.scope, plan.components, world.site)
        gate = build_gate(
            world.scope("Gate"),
            rendered["Migration"],
            cluster=world.site.cluster,
            network=world.site.network,
            log_group=world.site.log_group,
            key=world.key,
        )
        web_component = world.serve_web(rendered)
        ends = {**world.connectables(), **{name: part.peer for name, part in rendered.items()}}
        connect(plan.edges, ends, peers(settings.web.allow_from, world.site.network.vpc))
        # A security group's rules are its children: waiting for the group is waiting for them.
        hold(gate, [*world.dependencies(), rendered["Migration"].peer, *world.site.network.task_routes])
        for part in rendered.values():
            if part.service is not None:
                part.service.node.add_dependency(gate)

        self._plan = plan
        self._rendered = rendered
        self._url = world.site.bindings["Web"].attributes["url"]
        authors = [part for part in rendered.values() if part.component.runs_user_code]
        self._task_roles = {part.component.name: part.task_role for part in authors}
        self._connections = ec2.Connections(security_groups=[part.peer for part in authors])
        self._grants: iam.Policy | None = None
        add_outputs(self, world.site.bindings, web_component, internal=not settings.web.internet_facing)
        settings.executor.bind(self)

    @property
    def plan(self) -> ClusterPlan:
        """What runs and who may talk to whom, as data; print it."""
        return self._plan

    @property
    def url(self) -> str:
        """Where people reach Airflow; a token until the stack is deployed."""
        return self._url

    @property
    def connections(self) -> ec2.Connections:
        """The components that run DAG authors' code: ``cluster.connections.allow_to_default_port(db)``."""
        return self._connections

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The task roles that run DAG authors' code: ``bucket.grant_read(cluster)``."""
        if self._grants is None:
            # One policy on all of them, made when it is first needed: CDK refuses one without statements.
            self._grants = iam.Policy(self, "Grants", roles=list(self._task_roles.values()))
        return self._grants.grant_principal

    @property
    def task_roles(self) -> Mapping[str, iam.IRole]:
        """The same roles by component, for resource policies, which take no group of roles."""
        return dict(self._task_roles)

    def service(self, component: str) -> ecs.FargateService:
        """The ECS service of *component*, such as "Scheduler"; their names are in ``cluster.plan``.

        Raises:
            KeyError: if no service has that name.
        """
        service = self._rendered[component].service if component in self._rendered else None
        if service is None:
            known = ", ".join(name for name, part in self._rendered.items() if part.service is not None)
            raise KeyError(f"no service {component!r}; there are {known}")
        return service
