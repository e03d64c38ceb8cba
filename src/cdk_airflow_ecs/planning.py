"""Planning: from settings to components, containers and edges. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from cdk_airflow_ecs import limits
from cdk_airflow_ecs.airflow import EXECUTION_API_NAME, processes
from cdk_airflow_ecs.capacity.checks import check_capacities
from cdk_airflow_ecs.capacity.fargate import Fargate
from cdk_airflow_ecs.capacity.queue_metric import queue_metric_container
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.capacity.task_size import TaskSize
from cdk_airflow_ecs.compatibility import check_router
from cdk_airflow_ecs.ecs_task import task_component
from cdk_airflow_ecs.executors.base import SCHEDULER_WITH_TASKS_MIB, Workers
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.migration.component import MIGRATION, migration_component
from cdk_airflow_ecs.option_merging import OptionConflictError, raise_together, together
from cdk_airflow_ecs.plan import TASK_CLUSTER, ClusterPlan, Component, Container, Edge, Option, Permission
from cdk_airflow_ecs.plan_context import PlanContext
from cdk_airflow_ecs.ports import EXECUTION_API_PORT, NFS_PORT, WEB_PORT
from cdk_airflow_ecs.process import Process
from cdk_airflow_ecs.process_environment import process_environment
from cdk_airflow_ecs.run_task_permissions import may_find, may_follow, may_read_log, may_run
from cdk_airflow_ecs.settings import Settings

# The processes of a component, the user's settings for it, and its default size.
_Part: TypeAlias = "tuple[tuple[Process | Workers, ...], Service, TaskSize]"

# Measured idle, in MB: API server 457, scheduler 234, DAG processor 198, triggerer 236 (3.3.2), webserver 607 (2.11.2).
_SIZES: Final = {
    "ApiServer": TaskSize(cpu=1024, memory_mib=2048),
    "Webserver": TaskSize(cpu=1024, memory_mib=2048),
    "Scheduler": TaskSize(cpu=1024, memory_mib=2048),
    "DagProcessor": TaskSize(cpu=512, memory_mib=1024),
    "Triggerer": TaskSize(cpu=512, memory_mib=1024),
}
_SCHEDULER_WITH_TASKS: Final = TaskSize(cpu=2048, memory_mib=SCHEDULER_WITH_TASKS_MIB)


def plan_cluster(settings: Settings) -> ClusterPlan:
    """Plan the components and edges of a cluster.

    Raises:
        ValueError: if the user's configuration contradicts the cluster's, or a size is not supported.
    """
    try:
        return _plan(settings)
    except OptionConflictError as conflict:
        raise IncompatibleArgumentsError(together([*conflict.found.values()])) from None


def conflicting_options(settings: Settings) -> Mapping[Option | str, str]:
    """Return the messages of the error that :func:`plan_cluster` would raise about incompatible options.

    They have the option, or themselves, as key.
    """
    try:
        _plan(settings)
    except OptionConflictError as conflict:
        return conflict.found
    except IncompatibleArgumentsError as error:
        return {str(error): str(error)}
    except ValueError:
        pass  # an error about something else is raised when the options are corrected
    return {}


def _plan(settings: Settings) -> ClusterPlan:
    context = PlanContext.of(settings)
    stores = [resource.component() for resource in settings.resources().values()]
    ecs_tasks = [
        task_component(task, architecture=settings.image.architecture, secrets=settings.given_secrets)
        for task in settings.ecs_tasks
    ]
    started = [((task,), task.service, TaskSize()) for task in context.executor.tasks]
    commands = [((task.process,), task.service, TaskSize()) for task in settings.airflow_tasks]
    conflicts: list[OptionConflictError] = []
    tasks, services, others = (
        _components(context, parts, conflicts) for parts in (started, _services(context), commands)
    )
    raise_together(conflicts)
    components = (
        *(replace(store, enable_exec=bool(settings.enable_exec)) for store in stores if store is not None),
        *ecs_tasks,
        # The executor's RunTask call decides the number of tasks and whether ECS Exec is enabled.
        *(replace(task, kind="executor task", count=None, enable_exec=False) for task in tasks),
        *services,
        *(replace(task, path=task.name, kind="command task", count=None, enable_exec=False) for task in others),
        migration_component(settings),
    )
    check_capacities(components)
    limits.check_task_definitions(components, settings.log_router.log_options)
    return ClusterPlan(components=components, edges=tuple(sorted(set(_edges(context, components)))))


def _components(context: PlanContext, parts: Iterable[_Part], conflicts: list[OptionConflictError]) -> list[Component]:
    """Plan the components of Airflow's processes. Add errors about their options to *conflicts*."""
    planned: list[Component] = []
    for members, service, default in parts:
        try:
            planned.append(_component(context, members, service, default))
        except OptionConflictError as conflict:
            conflicts.append(conflict)
    return planned


def _services(context: PlanContext) -> Iterator[_Part]:
    core: dict[str, list[Process]] = {}
    for process in processes(context.settings.version, tasks_in_scheduler=context.executor.tasks_in_scheduler):
        core.setdefault(process.component, []).append(process)
    for name, members in core.items():
        size = _SIZES[name]
        if name == "Scheduler" and context.executor.tasks_in_scheduler:
            size = _SCHEDULER_WITH_TASKS
        given = context.settings.services.get("ApiServer" if name == context.web else name)
        yield tuple(members), given or Service(), size
    for workers in context.executor.workers:
        yield (workers,), workers.service, TaskSize()


def _component(
    context: PlanContext, members: tuple[Process | Workers, ...], service: Service, default: TaskSize
) -> Component:
    settings = context.settings
    parts = [(m.process, m) if isinstance(m, Workers) else (m, None) for m in members]
    processes_ = [process for process, _ in parts]
    name = processes_[0].component
    size = service.size(default)
    capacity = next((workers.capacity for _, workers in parts if workers), Fargate())
    capacity.check(name, size.cpu, size.memory_mib, size.ephemeral_storage_gib)
    router = settings.log_router
    check_router(router, name, size)
    containers = []
    for position, (process, workers) in enumerate(parts):
        check = service.health_check if position == 0 and service.health_check else process.health_check
        containers.append(
            Container(
                name=process.name,
                # The prefix is not part of the command, because an executor overrides the command of its tasks.
                prefix=(*process.prefix, *(context.dags.prefix if "dags" in process.needs else ())),
                command=process.command,
                port=process.port,
                health_check=check,
                environment=process_environment(context, process, workers, service),
            )
        )
    own = next((w for _, w in parts if w), None)
    if name == "Scheduler" and (metric := queue_metric_container(settings, context.executor)):
        containers.append(metric)
    image = settings.image if own is None or own.image is None else own.image
    in_web = name == context.web and settings.enable_exec is None and not settings.web.internet_facing
    default_exec = in_web if settings.enable_exec is None else settings.enable_exec
    return Component(
        name=name,
        path=f"Components/{name}" if own is None else own.path,
        containers=tuple(containers),
        cpu=size.cpu,
        memory_mib=size.memory_mib,
        count=0 if settings.maintenance and not (service.scaling and service.scaling.pauses) else _count(service),
        scaling=service.scaling,
        ephemeral_storage_gib=size.ephemeral_storage_gib,
        enable_exec=default_exec if service.enable_exec is None else service.enable_exec,
        permissions=_distinct(
            [
                *(p for process in processes_ for p in _permissions(context, process)),
                *(own.permissions if own else ()),
                *router.permissions,
                # Permissions of ECS tasks are last, because ``add_ecs_task`` may add more.
                *(p for process in processes_ for p in _task_permissions(context, process)),
            ]
        ),
        runs_user_code=any(process.runs_user_code for process in processes_),
        serves_web=name == context.web,
        image="airflow" if own is None or own.image is None else name,
        architecture=(own.architecture if own else None) or image.architecture,
        capacity=capacity,
        dns_name=EXECUTION_API_NAME if name == context.web and context.is_3 else None,
    )


def _permissions(context: PlanContext, process: Process) -> Iterator[Permission]:
    logs = context.settings.logs
    if "dags" in process.needs:
        yield from context.dags.permissions
    if "write-logs" in process.needs:
        yield from logs.writers()
    elif "read-logs" in process.needs:
        yield from logs.readers()
    if process.component == "Scheduler":
        yield from context.executor.permissions


def _task_permissions(context: PlanContext, process: Process) -> Iterator[Permission]:
    if process.runs_user_code and "write-logs" in process.needs:
        for task in context.settings.ecs_tasks:
            # The triggerer only waits for tasks of deferrable operators.
            in_triggerer = process.component == "Triggerer"
            if in_triggerer:
                yield may_follow(TASK_CLUSTER)
            else:
                yield from (*may_run(task.component, TASK_CLUSTER), may_find(TASK_CLUSTER))
            yield may_read_log(task.component)


def _edges(context: PlanContext, components: tuple[Component, ...]) -> Iterator[Edge]:
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


def _count(service: Service) -> int | None:
    if service.scaling is not None:
        return None
    return 1 if service.count is None else service.count


def _distinct(permissions: list[Permission]) -> tuple[Permission, ...]:
    found: list[Permission] = []
    for permission in permissions:
        if permission not in found:
            found.append(permission)
    return tuple(found)


def _all_processes(context: PlanContext) -> Iterator[Process]:
    yield from processes(context.settings.version, tasks_in_scheduler=context.executor.tasks_in_scheduler)
    yield from (workers.process for workers in (*context.executor.workers, *context.executor.tasks))
    yield from (task.process for task in context.settings.airflow_tasks)
