"""Arguments that are right one by one and do not go together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.logs.cloudwatch import CloudWatchLogs
from cdk_airflow_ecs.logs.local import LocalLogs

if TYPE_CHECKING:
    from cdk_airflow_ecs.dags.base import DagSource
    from cdk_airflow_ecs.ecs_task import EcsTask
    from cdk_airflow_ecs.executors.base import ExecutorPlan
    from cdk_airflow_ecs.images.registry import AirflowImage
    from cdk_airflow_ecs.settings import Settings

# Their official images have an amazon provider before 9.32.0.
_LOSE_LOGS: Final = ("3.0", "3.1", "3.2")


def check_image(name: str, image: AirflowImage, executor: ExecutorPlan) -> Iterator[Advice]:
    """Say what an image must hold that this library cannot add to it."""
    if executor.requirements and not image.takes_requirements:
        yield Advice(
            f"cdk-airflow-ecs:image-requirements:{name}",
            f"the image of {'this cluster' if name == 'airflow' else name} must hold"
            f" {', '.join((*executor.requirements, *executor.image_files))}, which this library adds to the official"
            f" image and to AirflowImage.build(…) alone{_modules(executor)}",
        )


def _modules(executor: ExecutorPlan) -> str:
    """How to come by the modules that an image must hold."""
    shown = "; print(executor.plan(ExecutorContext(version=…)).image_files[{!r}]) shows what belongs into config/"
    return "".join(shown.format(name) for name in executor.image_files)


def check_ecs_tasks(tasks: Sequence[EcsTask]) -> None:
    """Refuse two ECS tasks that DAGs could not tell apart.

    Raises:
        ValueError: naming the variable.
    """
    variables = [task.variable for task in tasks]
    for name in variables:
        if variables.count(name) > 1:
            raise ValueError(f"two ECS tasks would be the Airflow variable {name!r}; give each its own name")


def check_dags(image: AirflowImage, dags: DagSource | None) -> None:
    """Refuse an image with DAGs of which nobody says whether they are the cluster's.

    Raises:
        ValueError: saying what to choose from.
    """
    if dags is None and image.has_dags:
        raise ValueError(
            "image= comes with DAGs, and dags= does not say whether they are the cluster's; pass dags=ImageDags(), or"
            " another source, such as S3Dags(), which leaves them out of the image"
        )


def check_logs(settings: Settings, executor: ExecutorPlan) -> None:
    """Refuse logs that would be lost, and a second container beside a task of an executor.

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
    if isinstance(settings.logs, CloudWatchLogs) and settings.version.line in _LOSE_LOGS and settings.image.is_official:
        raise ValueError(
            f"logs=CloudWatchLogs() loses logs with the official image of Airflow {settings.version}, whose amazon"
            " provider shuts the handler before it is used (apache/airflow#57356); use logs=S3Logs(), or an image of"
            " yours with amazon provider 9.32.0 or newer"
        )
