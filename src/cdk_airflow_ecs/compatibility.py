"""Rules about two arguments that are right one by one and incompatible together. Pure.

Rules of one executor, DAG source, log store or web front are declared by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.advice import Advice
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


def check_image(name: str, image: AirflowImage, executor: ExecutorPlan, version: AirflowVersion) -> Iterator[Advice]:
    """Say what an image must hold that this library cannot add to it, and that it may be another one tomorrow."""
    if image.source.moves:
        yield Advice(
            f"cdk-airflow-ecs:moving-image:{name}",
            f"{image_of(name)} has no tag of its own: no deploy would say which one runs, and tasks that start later"
            " may run another Airflow than their scheduler; name a tag that never moves, or a digest",
        )
    added = (*executor.requirements, *executor.image_files)
    if added and not image.source.takes_requirements:
        yield Advice(
            f"cdk-airflow-ecs:image-requirements:{name}",
            f"{image_of(name)} must hold {', '.join(added)}, which this library adds to the official image and to"
            f" AirflowImage.build(…) alone{_modules(executor)}",
        )
    built = bool(added) and image.source.takes_requirements
    if built and image.source.credentials is not None:
        yield Advice(
            f"cdk-airflow-ecs:login-of-a-build:{name}",
            f"{image_of(name)} is built when CDK deploys, because executor= adds to it, and is then pulled from ECR: no"
            " task needs credentials=. For the build, run `docker login` on the machine that deploys",
        )
    runs_tasks = name == "airflow" and any(tasks.image is None for tasks in executor.tasks)
    runs_tasks = runs_tasks or name in [tasks.process.component for tasks in executor.tasks]
    hub = image.source.anonymous_on_docker_hub(version)
    if runs_tasks and hub and not built:
        yield Advice(
            f"cdk-airflow-ecs:docker-hub-pulls:{name}",
            f"each Airflow task pulls {hub} from Docker Hub, which admits a hundred pulls without a login in six hours"
            " from one address, such as that of a NAT gateway. Use a copy in ECR, AirflowImage.ecr(repository, tag), or"
            " pass credentials=",
        )


def _modules(executor: ExecutorPlan) -> str:
    """How to come by the modules that an image must hold."""
    shown = "; print(executor.plan(ExecutorContext(version=…)).image_files[{!r}]) shows what belongs into config/"
    return "".join(shown.format(name) for name in executor.image_files)


def check_router(router: LogRouter, name: str, size: TaskSize) -> None:
    """Refuse a log router that would take all of a component's memory, if that is known.

    Raises:
        ValueError: naming the router and the component.
    """
    if is_known_int(size.memory_mib) and router.memory_mib >= size.memory_mib:
        raise IncompatibleArgumentsError(
            f"log_router={type(router).__name__}(memory_mib={router.memory_mib}) leaves nothing to {name}, which has"
            f" {size.memory_mib} MiB; keep less for the router, or give that service more memory_mib"
        )


def check_ecs_tasks(settings: Settings, executor: ExecutorPlan) -> None:
    """Refuse two ECS tasks that DAGs could not tell apart, and one of the name that an executor's tasks have.

    Raises:
        ValueError: naming the variable, or the task.
    """
    tasks, taken = settings.ecs_tasks, [workers.process.component.lower() for workers in executor.tasks]
    for task in tasks:
        if task.component.lower() in taken:
            raise ValueError(
                f"ECS task {task.name!r}: the tasks of executor={type(settings.executor).__name__}(…) have that name;"
                " choose another"
            )
    variables = [task.variable for task in tasks]
    for name in variables:
        if variables.count(name) > 1:
            raise IncompatibleArgumentsError(
                f"two ECS tasks would be the Airflow variable {name!r}; give each its own name"
            )


def check_dags(images: Mapping[str, AirflowImage], dags: DagSource | None) -> None:
    """Refuse an image with DAGs of which nobody says whether they are the cluster's.

    Raises:
        ValueError: saying what to choose from.
    """
    for name, image in images.items():
        if dags is None and image.source.has_dags:
            raise IncompatibleArgumentsError(
                f"{image_of(name)} comes with DAGs, and dags= does not say whether they are the cluster's; pass"
                " dags=ImageDags(), or another source, such as S3Dags(), which leaves them out of the image"
            )


def check_buckets(logs: LogStore, dags: DagSource) -> None:
    """Refuse logs below DAGs, and the other way: tasks could write DAGs, and an upload of DAGs deletes the rest.

    Raises:
        ValueError: naming the bucket and both places.
    """
    written, read = logs.bucket_folder(), dags.bucket_folder()
    if written is not None and read is not None and written.overlaps(read):
        raise IncompatibleArgumentsError(
            f"logs={type(logs).__name__}(…, prefix={validation.shown(written.prefix)}) and"
            f" dags={type(dags).__name__}(…, prefix={validation.shown(read.prefix)}) lie in one another, in one bucket:"
            " tasks, which may write logs, could write DAGs; give each its own folder, or its own bucket"
        )


def check_logs(settings: Settings, executor: ExecutorPlan) -> None:
    """Refuse logs that would be gone with their task, and a second container beside a task of an executor.

    Raises:
        ValueError: naming both arguments.
    """
    beside = f"cannot be used with executor={type(settings.executor).__name__}(…)"
    if executor.tasks and settings.log_router.has_sidecar:
        raise IncompatibleArgumentsError(
            f"log_router={type(settings.log_router).__name__}(…) {beside}: it takes the end of any container for the"
            " end of a task, so a task has one container alone; use log_router=AwsLogs()"
        )
    if executor.tasks and not settings.logs.outlive_tasks:
        raise IncompatibleArgumentsError(
            f"logs={type(settings.logs).__name__}() {beside}: each task runs in a Fargate task of its own, and its log"
            " would be gone with it; use logs=S3Logs() or logs=CloudWatchLogs()"
        )
