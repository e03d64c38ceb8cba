"""From settings to a plan: which containers run, what each gets, who may reach whom. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, cast

from cdk_airflow_ecs import limits, options
from cdk_airflow_ecs.airflow import (
    EXECUTION_API_NAME,
    EXECUTION_API_PORT,
    FAB,
    FERNET_COMMAND,
    NO_DAGS,
    WEB_PORT,
    processes,
    web_component,
)
from cdk_airflow_ecs.capacity.fargate import check_size
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.compatibility import check_options, check_router
from cdk_airflow_ecs.dags.base import DagPlan
from cdk_airflow_ecs.ecs_task import task_component
from cdk_airflow_ecs.environment import split_environment
from cdk_airflow_ecs.executors.base import SCHEDULER_WITH_TASKS_MIB, ExecutorPlan, Workers
from cdk_airflow_ecs.migration.component import MIGRATION, migration_component
from cdk_airflow_ecs.options import variables
from cdk_airflow_ecs.plan import (
    ClusterPlan,
    Component,
    Container,
    Edge,
    Option,
    Permission,
    Ref,
    SecretRef,
    Value,
)
from cdk_airflow_ecs.process import Process
from cdk_airflow_ecs.run_task import may_find, may_follow, may_read_log, may_run
from cdk_airflow_ecs.settings import Settings, merged

NFS_PORT: Final = 2049

# Default sizes: a vCPU for what serves or schedules, half a one for what mostly waits. Measured, idle: API core and
# execution together 457 MB, scheduler 234, DAG processor 198, triggerer 236 (3.3.2), webserver 607 (2.11.2).
_SIZES: Final = {
    "ApiServer": Service(cpu=1024, memory_mib=2048, count=1),
    "Webserver": Service(cpu=1024, memory_mib=2048, count=1),
    "Scheduler": Service(cpu=1024, memory_mib=2048, count=1),
    "DagProcessor": Service(cpu=512, memory_mib=1024, count=1),
    "Triggerer": Service(cpu=512, memory_mib=1024, count=1),
}
_SCHEDULER_WITH_TASKS: Final = Service(cpu=2048, memory_mib=SCHEDULER_WITH_TASKS_MIB, count=1)


def plan_cluster(settings: Settings) -> ClusterPlan:
    """Decide everything that will run.

    Raises:
        ValueError: if the user's configuration contradicts the cluster's own, or a size is impossible.
    """
    context = _Context.of(settings)
    stores = [resource.component() for resource in settings.resources().values()]
    ecs_tasks = [task_component(settings, task) for task in settings.ecs_tasks]
    # Whoever starts a task decides how many there are, and whether a shell may be opened in it.
    tasks = [
        replace(_component(context, (task,), task.service), kind="executor task", count=None, enable_exec=False)
        for task in context.executor.tasks
    ]
    services = [_component(context, processes_, size) for processes_, size in _services(context)]
    components = (
        *(replace(store, enable_exec=bool(settings.enable_exec)) for store in stores if store is not None),
        *ecs_tasks,
        *tasks,
        *services,
        migration_component(settings),
    )
    limits.check_task_definitions(components, settings.log_router.log_options)
    return ClusterPlan(components=components, edges=tuple(sorted(set(_edges(context, components)))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    settings: Settings
    executor: ExecutorPlan
    dags: DagPlan
    web: str

    @classmethod
    def of(cls, settings: Settings) -> _Context:
        return cls(
            settings=settings,
            executor=settings.executor_plan(),
            dags=settings.dags.plan(settings.version),
            web=web_component(settings.version),
        )

    @property
    def is_3(self) -> bool:
        return self.settings.version.major >= 3


def _services(context: _Context) -> Iterator[tuple[tuple[Process | Workers, ...], Service]]:
    core: dict[str, list[Process]] = {}
    for process in processes(context.settings.version, tasks_in_scheduler=context.executor.tasks_in_scheduler):
        core.setdefault(process.component, []).append(process)
    for name, members in core.items():
        size = _SIZES[name]
        if name == "Scheduler" and context.executor.tasks_in_scheduler:
            size = _SCHEDULER_WITH_TASKS
        given = context.settings.services.get("ApiServer" if name == context.web else name)
        yield tuple(members), merged(size, given)
    for workers in context.executor.workers:
        yield (workers,), workers.service


def _component(context: _Context, members: tuple[Process | Workers, ...], service: Service) -> Component:
    settings = context.settings
    parts = [(m.process, m) if isinstance(m, Workers) else (m, None) for m in members]
    processes_ = [process for process, _ in parts]
    name = processes_[0].component
    check_size(name, service.cpu, service.memory_mib)
    router = settings.log_router
    check_router(router, name, service)
    containers = []
    for position, (process, workers) in enumerate(parts):
        check = service.health_check if position == 0 and service.health_check else process.health_check
        containers.append(
            Container(
                name=process.name,
                # Not part of the command: an executor says the command of the tasks that it starts.
                prefix=context.dags.prefix if "dags" in process.needs else (),
                command=process.command,
                port=process.port,
                health_check=check,
                environment=_environment(context, process, workers, service),
            )
        )
    own = next((w for _, w in parts if w), None)
    image = settings.image if own is None or own.image is None else own.image
    in_web = name == context.web and settings.enable_exec is None and not settings.web.internet_facing
    default_exec = in_web if settings.enable_exec is None else settings.enable_exec
    return Component(
        name=name,
        path=f"Components/{name}" if own is None else own.path,
        containers=tuple(containers),
        cpu=cast("int", service.cpu),
        memory_mib=cast("int", service.memory_mib),
        count=0 if settings.maintenance else 1 if service.count is None else service.count,
        ephemeral_storage_gib=service.ephemeral_storage_gib,
        enable_exec=default_exec if service.enable_exec is None else service.enable_exec,
        permissions=_distinct(
            [
                *(p for process in processes_ for p in _permissions(context, process)),
                *(own.permissions if own else ()),
                *router.permissions,
                # Last, for ECS tasks are added later: so their order does not tell when.
                *(p for process in processes_ for p in _task_permissions(context, process)),
            ]
        ),
        runs_user_code=any(process.runs_user_code for process in processes_),
        serves_web=name == context.web,
        image="airflow" if own is None or own.image is None else name,
        architecture=(own.architecture if own else None) or image.architecture,
        spot=own is not None and own.spot,
        dns_name=EXECUTION_API_NAME if name == context.web and context.is_3 else None,
    )


def _environment(context: _Context, process: Process, workers: Workers | None, service: Service) -> dict[str, Value]:
    settings = context.settings
    image = (workers and workers.image) or settings.image
    extra = workers.config if workers else {}
    secrets = dict(settings.given_secrets)
    given, given_options = split_environment(process.component, service.environment, secrets)
    executor = context.executor.config if "executor" in process.needs else {}
    loader = context.executor.loader_config if "load-executor" in process.needs else {}
    line = settings.version.line
    user_options = [
        *settings.config,
        (image.source.options_source, image.source.options),
        (f"environment of {process.component}", given_options),
    ]
    check_options(settings, context.executor, user_options)
    own = [("this cluster", _own_options(context, process)), ("the executor", {**executor, **loader, **extra})]
    chosen = options.overlay(_defaults(context, process), options.merge([*own, *user_options], line), line)
    fixed, added = _own_environment(context, process), _task_variables(context, process)
    ours = {**fixed, **added}
    for source, more in (("environment=", settings.environment), (f"environment of {process.component}", given)):
        if contradicted := [name for name, value in more.items() if ours.get(name, value) != value]:
            names = ", ".join(contradicted)
            raise ValueError(f"{source} sets {names} in {process.name}, which this cluster sets itself; leave it out")
    return {**variables(chosen), **fixed, **settings.environment, **given, **added}


def _defaults(context: _Context, process: Process) -> dict[Option, Value]:
    """Options that this library prefers and the user may change."""
    chosen: dict[Option, Value] = {
        ("core", "load_examples"): "False",
        # The gate has seen to the schema. After a rollback it is ahead of the image, and services must start anyway.
        ("database", "check_migrations"): "False",
        # Logs go to S3 when a task ends; without this a worker's disk fills.
        ("logging", "delete_local_logs"): "True",
        # Half an hour in the queue, for workers that are still starting; Airflow's own 600 s fails such tasks.
        ("scheduler", "task_queued_timeout"): "1800",
    }
    if "executor" in process.needs and "CeleryExecutor" in context.executor.class_path:
        # How long the scheduler tries to hand a command to the broker. After Airflow's own 1 s, four times, a task has
        # failed that never began: seen with TLS and a busy CPU (apache/airflow#7143).
        chosen["celery", "operation_timeout"] = "10"
    if context.is_3:
        # One process each: more of them is what count= is for. 3.0 would start four (apache/airflow config.yml).
        chosen["api", "workers"] = "1"
        # A task's token is made when it is queued. Airflow's own 600 s runs out before a slow worker starts the task
        # (apache/airflow#53713).
        chosen["execution_api", "jwt_expiration_time"] = "86400"
        # While the web component is replaced, tasks ask again for about four minutes: nineteen waits that grow to 30 s.
        # Airflow's own give up after 8 to 15 s, and what began or ended meanwhile failed (airflow/sdk/api/client.py).
        # The scheduler gives up a task after 300 s without a heartbeat ([scheduler] task_instance_heartbeat_timeout).
        chosen["workers", "execution_api_retries"] = "20"
        chosen["workers", "execution_api_retry_wait_max"] = "30"
    return chosen


def _own_options(context: _Context, process: Process) -> dict[Option, Value]:
    settings = context.settings
    has_logs = process.needs & {"write-logs", "read-logs"}
    chosen: dict[Option, Value] = {
        ("core", "executor"): context.executor.class_path,
        # Container host names resolve nowhere; the web component fetches live logs by address.
        ("core", "hostname_callable"): "airflow.utils.net.get_host_ip_address",
        **(settings.logs.config(settings.version) if has_logs else settings.logs.unconcerned(settings.version)),
    }
    if context.is_3:
        chosen["core", "auth_manager"] = FAB
        if settings.web.has_one_name:
            chosen["api", "base_url"] = Ref("Web", "url")
    else:
        chosen["webserver", "base_url"] = Ref("Web", "url")
        chosen["scheduler", "standalone_dag_processor"] = "True"
    if process.component == context.web and not context.is_3:
        chosen["webserver", "enable_proxy_fix"] = "True"
        chosen["webserver", "cookie_secure"] = str(settings.web.certificate is not None)
        chosen["api", "auth_backends"] = "airflow.api.auth.backend.basic_auth,airflow.api.auth.backend.session"
    if process.component == "Scheduler":
        # See its health check.
        chosen["scheduler", "enable_health_check"] = "False"
    needs = process.needs
    if "database" in needs:
        chosen |= settings.database.config()
    if "fernet" in needs:
        chosen["core", "fernet_key_cmd"] = FERNET_COMMAND
    if "jwt" in needs:
        chosen["api_auth", "jwt_secret"] = SecretRef("Jwt")
    if "session" in needs:
        chosen[settings.version.session_section, "secret_key"] = SecretRef("Session")
    if context.is_3 and needs & {"execution-api", "executor"}:
        # The scheduler tells executors whose tasks run elsewhere where to call back.
        chosen["core", "execution_api_server_url"] = Ref("ExecutionApi", "url")
    if "dags" in needs:
        chosen |= context.dags.config
    else:
        chosen["core", "dags_folder"] = NO_DAGS
    return chosen


def _own_environment(context: _Context, process: Process) -> dict[str, Value]:
    needs = process.needs
    # The official entry point must wait for nothing: it would put the broker's password on a command line.
    variables: dict[str, Value] = {
        "CONNECTION_CHECK_MAX_COUNT": "0",
        "AWS_DEFAULT_REGION": Ref("Stack", "region"),
        **context.settings.logs.environment(context.settings.version),
    }
    if "database" in needs:
        variables |= context.settings.database.environment()
    if "fernet" in needs:
        variables["FERNET_SEED"] = SecretRef("Fernet")
    if "dags" in needs:
        variables |= context.dags.environment
    if "executor" in needs:
        variables |= context.executor.environment
    return {**variables, **process.environment}


def _task_variables(context: _Context, process: Process) -> dict[str, Value]:
    """How DAGs find the ECS tasks: Airflow looks for variables in the environment before it asks its database."""
    if not process.runs_user_code:
        return {}
    tasks, version = context.settings.ecs_tasks, context.settings.version
    return {f"AIRFLOW_VAR_{task.variable.upper()}": task.operator_arguments(version) for task in tasks}


def _permissions(context: _Context, process: Process) -> Iterator[Permission]:
    logs = context.settings.logs
    if "dags" in process.needs:
        yield from context.dags.permissions
    if "write-logs" in process.needs:
        yield from logs.writers()
    elif "read-logs" in process.needs:
        yield from logs.readers()
    if process.component == "Scheduler":
        yield from context.executor.permissions


def _task_permissions(context: _Context, process: Process) -> Iterator[Permission]:
    if process.runs_user_code and "write-logs" in process.needs:
        for task in context.settings.ecs_tasks:
            # Deferrable operators wait in the triggerer, which starts none.
            in_triggerer = process.component == "Triggerer"
            yield from (may_follow(),) if in_triggerer else (*may_run(task.component), may_find())
            yield may_read_log(task.component)


def _edges(context: _Context, components: tuple[Component, ...]) -> Iterator[Edge]:
    database = context.settings.database
    web = context.settings.web
    for port, why in web.ports():
        yield Edge("Clients", "Web", port, why)
    yield Edge("Web", context.web, WEB_PORT, "Load balancer to the UI and the public API")
    yield from context.executor.edges
    for component in components:
        for volume in component.volumes:
            yield Edge(component.name, volume.file_system_id.of, NFS_PORT, "Files")
    yield Edge(MIGRATION, "Database", database.port, "Metadata database")
    for process in _all_processes(context):
        if "database" in process.needs:
            yield Edge(process.component, "Database", database.port, "Metadata database")
        if process.component != context.web and process.port is not None:
            yield Edge(context.web, process.component, process.port, "Logs of running tasks")
        if context.is_3 and "execution-api" in process.needs:
            yield Edge(process.component, context.web, EXECUTION_API_PORT, "Execution API of Airflow 3")
        if "dags" in process.needs:
            yield from (replace(edge, source=process.component) for edge in context.dags.edges)


def _distinct(permissions: list[Permission]) -> tuple[Permission, ...]:
    found: list[Permission] = []
    for permission in permissions:
        if permission not in found:
            found.append(permission)
    return tuple(found)


def _all_processes(context: _Context) -> Iterator[Process]:
    yield from processes(context.settings.version, tasks_in_scheduler=context.executor.tasks_in_scheduler)
    yield from (workers.process for workers in (*context.executor.workers, *context.executor.tasks))
