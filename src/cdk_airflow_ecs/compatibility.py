"""Checks for incompatible arguments. Pure.

Checks that concern only one class, such as an executor or a broker, are in the file of that class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.capacity.cpu_scaling import CpuScaling
from cdk_airflow_ecs.images.names import image_of
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.tokens import is_known_int

if TYPE_CHECKING:
    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.capacity.task_size import TaskSize
    from cdk_airflow_ecs.dags.base import DagSource
    from cdk_airflow_ecs.executors.base import ExecutorPlan
    from cdk_airflow_ecs.images.airflow_image import AirflowImage
    from cdk_airflow_ecs.logs.base import LogStore
    from cdk_airflow_ecs.logs.router import LogRouter
    from cdk_airflow_ecs.settings import Settings

# Sources: Airflow's config.yml ([core] parallelism, [triggerer] capacity); apache/airflow#32966, discussion #69364.
_NOT_BY_CPU: Final = {
    "Scheduler": "each scheduler raises the number of concurrent tasks by [core] parallelism. Use count= or cpu=",
    "DagProcessor": "each DAG processor parses all DAG files, so another one adds load. Use cpu=",
    "Triggerer": "the capacity of a triggerer is a number of triggers, which wait without using CPU. Use count=",
}


def check_image(name: str, image: AirflowImage, executor: ExecutorPlan, version: AirflowVersion) -> Iterator[Advice]:
    """Return warnings about the image of component *name*."""
    if image.source.moves:
        yield Advice(
            f"cdk-airflow-ecs:moving-image:{name}",
            f"{image_of(name)} has no fixed tag: tasks that start later may run another Airflow release than the"
            " scheduler. Use a digest, or a tag that never changes",
        )
    added = (*executor.requirements, *executor.image_files)
    if added and not image.source.takes_requirements:
        yield Advice(
            f"cdk-airflow-ecs:image-requirements:{name}",
            f"{image_of(name)} must include {', '.join(added)}, which this library adds only to the official image and"
            f" to AirflowImage.build(…){_modules(executor)}",
        )
    built = bool(added) and image.source.takes_requirements
    if built and image.source.credentials is not None:
        yield Advice(
            f"cdk-airflow-ecs:login-of-a-build:{name}",
            f"{image_of(name)} is built at deploy time, to add packages for executor=, and pulled from ECR without"
            " credentials=. For the build, run `docker login` on the machine that deploys",
        )
    runs_tasks = name == "airflow" and any(tasks.image is None for tasks in executor.tasks)
    runs_tasks = runs_tasks or name in [tasks.process.component for tasks in executor.tasks]
    hub = image.source.anonymous_on_docker_hub(version)
    if runs_tasks and hub and not built:
        yield _docker_hub(name, "each Airflow task", hub)


def _docker_hub(name: str, run: str, image: str) -> Advice:
    return Advice(
        f"cdk-airflow-ecs:docker-hub-pulls:{name}",
        f"{run} pulls {image} from Docker Hub, which allows one IP address, such as a NAT gateway's, 100 pulls in six"
        " hours without a login. Copy the image to Amazon ECR, or pass credentials=",
    )


def _modules(executor: ExecutorPlan) -> str:
    shown = ". For config/{0}, run print(executor.plan(ExecutorContext(version=…)).image_files[{0!r}])"
    return "".join(shown.format(name) for name in executor.image_files)


def check_router(router: LogRouter, name: str, size: TaskSize) -> None:
    """Raise an error if the sidecar of the log router needs all memory of component *name*."""
    if is_known_int(size.memory_mib) and router.memory_mib >= size.memory_mib:
        raise IncompatibleArgumentsError(
            f"log_router={type(router).__name__}(memory_mib={router.memory_mib}) must leave memory for {name}, which"
            f" has {size.memory_mib} MiB. Decrease memory_mib= of the router, or increase that of {name}"
        )


def check_ecs_tasks(settings: Settings, executor: ExecutorPlan) -> list[Advice]:
    """Raise an error if two ECS tasks have one Airflow variable, or one has the name of the executor's tasks.

    Return the warnings about images.
    """
    tasks, taken = settings.ecs_tasks, [workers.process.component.lower() for workers in executor.tasks]
    for task in tasks:
        if task.component.lower() in taken:
            raise ValueError(
                f"ECS task {task.name!r}: the tasks of executor={type(settings.executor).__name__}(…) have that name."
                " Choose another name"
            )
    variables = [task.variable for task in tasks]
    for name in variables:
        if variables.count(name) > 1:
            raise IncompatibleArgumentsError(
                f"two ECS tasks have the same Airflow variable, {name!r}. Rename one of them"
            )
    pulled = [
        (task, task.registry_image.anonymous_on_docker_hub(settings.version)) for task in tasks if task.registry_image
    ]
    return [_docker_hub(task.component, f"each run of ECS task {task.name!r}", hub) for task, hub in pulled if hub]


def check_airflow_tasks(settings: Settings) -> None:
    """Raise an error if an Airflow task has the name of another one, or of an ECS task."""
    taken = {task.name.lower(): f"add_ecs_task({task.name!r})" for task in settings.ecs_tasks}
    for task in settings.airflow_tasks:
        if other := taken.get(task.name.lower()):
            raise IncompatibleArgumentsError(
                f"Airflow task {task.name!r} and {other} have the same name, which is also that of their logs. Rename"
                " one of them"
            )
        taken[task.name.lower()] = f"Airflow task {task.name!r}"


def check_dags(images: Mapping[str, AirflowImage], dags: DagSource | None) -> None:
    """Raise an error if an image contains DAGs but ``dags=`` is not set."""
    for name, image in images.items():
        if dags is None and image.source.has_dags:
            raise IncompatibleArgumentsError(
                f"{image_of(name)} contains DAGs, but dags= is not set. Pass dags=ImageDags() to run them, or another"
                " source, such as S3Dags(), to omit them from the image"
            )


def check_buckets(logs: LogStore, dags: DagSource) -> None:
    """Raise an error if DAGs and logs share a folder: tasks could write DAGs, and uploads of DAGs could delete logs."""
    written, read = logs.bucket_folder(), dags.bucket_folder()
    if written is not None and read is not None and written.overlaps(read):
        raise IncompatibleArgumentsError(
            f"logs={type(logs).__name__}(…, prefix={validation.shown(written.prefix)}) and"
            f" dags={type(dags).__name__}(…, prefix={validation.shown(read.prefix)}) overlap in one bucket, so tasks,"
            " which may write logs, could write DAGs. Use separate folders or buckets"
        )


def check_logs(settings: Settings, executor: ExecutorPlan) -> None:
    """Raise an error if executor tasks would lose their logs, or have a sidecar container."""
    beside = f"cannot be used with executor={type(settings.executor).__name__}(…)"
    if executor.tasks and settings.log_router.has_sidecar:
        raise IncompatibleArgumentsError(
            f"log_router={type(settings.log_router).__name__}(…) {beside}, which treats the end of any container as"
            " the end of the task. Use log_router=AwsLogs()"
        )
    if executor.tasks and not settings.logs.outlive_tasks:
        raise IncompatibleArgumentsError(
            f"logs={type(settings.logs).__name__}() {beside}: a log would be deleted together with its Fargate task."
            " Use logs=S3Logs() or logs=CloudWatchLogs()"
        )


def check_cpu_scaling(settings: Settings, executor: ExecutorPlan) -> None:
    """Raise an error if a service other than the web component has CpuScaling."""
    for name, why in _NOT_BY_CPU.items():
        service = settings.services.get(name)
        if service is not None and isinstance(service.scaling, CpuScaling):
            raise IncompatibleArgumentsError(
                f"{name} has scaling=CpuScaling(…), which is only for api_server=: {why}, or ExternalScaling()"
            )
    for workers in executor.workers:
        if isinstance(workers.service.scaling, CpuScaling):
            raise IncompatibleArgumentsError(
                f"{workers.process.component} has scaling=CpuScaling(…), which is only for api_server=: workers whose"
                " tasks wait use no CPU while their queue grows, and scale-in would stop running tasks. Use"
                " QueueScaling(…)"
            )
