"""Arguments that are right one by one and do not go together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.dags.s3 import S3Dags
from cdk_airflow_ecs.logs.cloudwatch import CloudWatchLogs
from cdk_airflow_ecs.logs.local import LocalLogs
from cdk_airflow_ecs.logs.s3 import S3Logs
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from cdk_airflow_ecs.dags.base import DagSource
    from cdk_airflow_ecs.executors.base import ExecutorPlan
    from cdk_airflow_ecs.images.registry import AirflowImage
    from cdk_airflow_ecs.logs.base import LogStore
    from cdk_airflow_ecs.settings import Settings

# Releases whose constraints name an amazon provider before 9.32.0, which came days after 3.3.0; 3.3.1 names 9.34.0.
_LOSE_LOGS: Final = AirflowVersion(3, 0, 0), AirflowVersion(3, 3, 0)
_AMAZON: Final = "apache-airflow-providers-amazon"
_KEEPS_LOGS: Final = (9, 32)


def check_image(name: str, image: AirflowImage, executor: ExecutorPlan) -> Iterator[Advice]:
    """Say what an image must hold that this library cannot add to it, and that it may be another one tomorrow."""
    if image.moves:
        yield Advice(
            f"cdk-airflow-ecs:moving-image:{name}",
            f"{_image(name)} has no tag of its own: no deploy would say which one runs, and tasks that start later may"
            " run another Airflow than their scheduler; name a tag that never moves, or a digest",
        )
    added = (*executor.requirements, *executor.image_files)
    if added and not image.takes_requirements:
        yield Advice(
            f"cdk-airflow-ecs:image-requirements:{name}",
            f"{_image(name)} must hold {', '.join(added)}, which this library adds to the official image and to"
            " AirflowImage.build(…) alone",
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
            raise ValueError(f"two ECS tasks would be the Airflow variable {name!r}; give each its own name")


def check_dags(images: Mapping[str, AirflowImage], dags: DagSource | None) -> None:
    """Refuse an image with DAGs of which nobody says whether they are the cluster's.

    Raises:
        ValueError: saying what to choose from.
    """
    for name, image in images.items():
        if dags is None and image.has_dags:
            raise ValueError(
                f"{_image(name)} comes with DAGs, and dags= does not say whether they are the cluster's; pass"
                " dags=ImageDags(), or another source, such as S3Dags(), which leaves them out of the image"
            )


def check_cloudwatch(settings: Settings, images: Mapping[str, AirflowImage]) -> Iterator[Advice]:
    """Refuse images that lose logs on their way to CloudWatch, and say what those need that nobody can look into.

    Raises:
        ValueError: naming the image.
    """
    first, last = _LOSE_LOGS
    if not isinstance(settings.logs, CloudWatchLogs) or not first <= settings.version <= last:
        return
    for name, image in images.items():
        keeps = image.has_newer(_AMAZON, _KEEPS_LOGS)
        if keeps is False:
            raise ValueError(
                f"logs=CloudWatchLogs() loses logs with {_image(name)}, which has the amazon provider that Airflow"
                f" {settings.version} came with: it shuts the handler before it is used (apache/airflow#57356); use"
                f" logs=S3Logs(), or AirflowImage.build(…) with {_AMAZON}>=9.32 in its requirements.txt"
            )
        if keeps is None:
            yield Advice(
                f"cdk-airflow-ecs:cloudwatch-provider:{name}",
                f"logs=CloudWatchLogs() loses logs unless {_image(name)} has amazon provider 9.32.0 or newer"
                f" (apache/airflow#57356), and Airflow {settings.version} came with an older one",
            )


def check_buckets(logs: LogStore, dags: DagSource) -> None:
    """Refuse logs below DAGs, and the other way: tasks could write DAGs, and an upload of DAGs deletes the rest.

    Raises:
        ValueError: naming the bucket and both places.
    """
    if not isinstance(logs, S3Logs) or not isinstance(dags, S3Dags) or logs.bucket is None or dags.bucket is None:
        return
    places = [f"{prefix.strip('/')}/".lstrip("/") for prefix in (logs.prefix, dags.prefix)]
    if any(map(is_token, places)) or logs.bucket.bucket_name != dags.bucket.bucket_name:
        return
    if places[0].startswith(places[1]) or places[1].startswith(places[0]):
        raise ValueError(
            f"logs=S3Logs(…, prefix={logs.prefix!r}) and dags=S3Dags(…, prefix={dags.prefix!r}) lie in one another, in"
            " one bucket: tasks, which may write logs, could write DAGs; give each its own folder, or its own bucket"
        )


def check_logs(settings: Settings, executor: ExecutorPlan) -> None:
    """Refuse logs that would be gone with their task, and a second container beside a task of an executor.

    Raises:
        ValueError: naming both arguments.
    """
    beside = f"cannot be used with executor={type(settings.executor).__name__}(…)"
    if executor.tasks and settings.log_router.has_sidecar:
        raise ValueError(
            f"log_router={type(settings.log_router).__name__}(…) {beside}: it takes the end of any container for the"
            " end of a task, so a task has one container alone; use log_router=AwsLogs()"
        )
    if executor.tasks and isinstance(settings.logs, LocalLogs):
        raise ValueError(
            f"logs=LocalLogs() {beside}: each task runs in a Fargate task of its own, and its log would be gone"
            " with it; use logs=S3Logs() or logs=CloudWatchLogs()"
        )


def _image(name: str) -> str:
    return f"the image of {'this cluster' if name == 'airflow' else name}"
