"""Arguments that are right one by one and do not go together. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.airflow import TRIGGERER_LOG_PORT, WEB_PORT, WORKER_LOG_PORT, AirflowVersion
from cdk_airflow_ecs.dags.s3 import S3Dags
from cdk_airflow_ecs.logs.cloudwatch import CloudWatchLogs
from cdk_airflow_ecs.logs.local import LocalLogs
from cdk_airflow_ecs.logs.s3 import S3Logs
from cdk_airflow_ecs.option_names import known, read_as
from cdk_airflow_ecs.options import merge
from cdk_airflow_ecs.plan import Json, Option, Value
from cdk_airflow_ecs.process import HEARTBEAT_SECONDS
from cdk_airflow_ecs.tokens import is_known_int, is_token
from cdk_airflow_ecs.web.base_url import check_base_url

if TYPE_CHECKING:
    from cdk_airflow_ecs.capacity.service import Service
    from cdk_airflow_ecs.dags.base import DagSource
    from cdk_airflow_ecs.executors.base import ExecutorPlan
    from cdk_airflow_ecs.images.airflow_image import AirflowImage
    from cdk_airflow_ecs.logs.base import LogStore
    from cdk_airflow_ecs.logs.router import LogRouter
    from cdk_airflow_ecs.settings import Settings

UserOptions: TypeAlias = "Sequence[tuple[str, Mapping[Option, Value]]]"

_EXTRA: Final = ("celery", "extra_celery_config")
_TRANSPORT: Final = "celery_broker_transport_options"
_HEARTBEATS: Final = (
    ("scheduler", "scheduler_heartbeat_sec"),
    ("scheduler", "job_heartbeat_sec"),
    ("triggerer", "job_heartbeat_sec"),
)
_ECS: Final = "aws_ecs_executor"
# What the ECS executor says to RunTask beyond its options of these names, or could not say beside them.
_RUN_TASK: Final = ("capacity_provider_strategy", "launch_type", "network_configuration")
# What [celery] extra_celery_config would set in place of others (default_celery.py of the celery provider).
_OURS: Final = {"broker_url", "broker_transport_options", "result_backend", "task_default_queue", "worker_concurrency"}
# Releases whose constraints name an amazon provider before 9.32.0, which came days after 3.3.0; 3.3.1 names 9.34.0.
_LOSE_LOGS: Final = AirflowVersion(3, 0, 0), AirflowVersion(3, 3, 0)
_AMAZON: Final = "apache-airflow-providers-amazon"
_KEEPS_LOGS: Final = (9, 32)


def check_options(settings: Settings, executor: ExecutorPlan, user_options: UserOptions) -> None:
    """Refuse options that contradict what the cluster does not set, but relies on.

    Args:
        settings: the cluster's arguments.
        executor: what the executor says.
        user_options: what the user says of the options of one process, by the argument that says it.

    Raises:
        ValueError: naming the option, and who says it.
    """
    line = settings.version.line
    merge([*relied_upon(settings, executor), *user_options], line)
    _check_celery(executor, user_options)
    _check_run_task(executor, user_options)
    for source, given in user_options:
        for (section, name), value in given.items():
            option, who = read_as((section, name), line), f"[{section}] {name} by {source}"
            if option == ("api", "base_url"):
                check_base_url(who, value)
            if option in _HEARTBEATS and _seconds(value) > HEARTBEAT_SECONDS:
                raise ValueError(
                    f"{who} is {value}: health checks take a process with no heartbeat for {HEARTBEAT_SECONDS} s for"
                    " dead, and ECS replaces it; take less"
                )


def relied_upon(settings: Settings, executor: ExecutorPlan) -> list[tuple[str, dict[Option, Value]]]:
    """Options that the cluster does not set and that must be so all the same, by what relies on them.

    They are Airflow's own defaults, or what arguments of the cluster say.
    """
    web, server = ("api", "") if settings.version.major >= 3 else ("webserver", "web_server_")
    options: dict[str, dict[Option, Value]] = {
        "whose load balancer and health checks use it": {
            (web, f"{server}host"): "0.0.0.0",  # noqa: S104 - its security group admits the load balancer alone
            (web, f"{server}port"): str(WEB_PORT),
        },
        "whose load balancer ends TLS": {(web, f"{server}ssl_cert"): "", (web, f"{server}ssl_key"): ""},
        "whose security groups and health checks use it": {
            ("logging", "worker_log_server_port"): str(WORKER_LOG_PORT),
            ("logging", "trigger_log_server_port"): str(TRIGGERER_LOG_PORT),
        },
        "whose processes must agree on it": {("operators", "default_queue"): settings.default_queue},
        # It would go before worker_concurrency.
        "whose worker pools say concurrency=": {("celery", "worker_autoscale"): ""},
        "whose health checks look for tables without it": {("database", "sql_alchemy_schema"): ""},
        "which makes both URLs of one database": {("database", "sql_alchemy_conn_async"): ""},
        "which starts no health server": {
            ("scheduler", "scheduler_health_check_server_host"): "0.0.0.0",  # noqa: S104
            ("scheduler", "scheduler_health_check_server_port"): "8974",
        },
        # Without --queues it would take no trigger of a task that has a queue, which is any.
        "whose triggerer serves no queue": {("triggerer", "queues_enabled"): "False"},
    }
    if isinstance(settings.dags, S3Dags):
        refresh = str(settings.dags.refresh_seconds)
        options["whose DAG source says refresh_seconds="] = {("dag_processor", "refresh_interval"): refresh}
    if ("aws_ecs_executor", "cluster") in executor.loader_config:
        options["whose executor says where its tasks run"] = {
            option: ""
            for option in (("aws_ecs_executor", "launch_type"), ("aws_ecs_executor", "capacity_provider_strategy"))
            if option not in executor.loader_config
        }
    here = known(settings.version.line)
    return [
        (f"this cluster, {why}", {option: value for option, value in given.items() if option in here})
        for why, given in options.items()
    ]


def _check_celery(executor: ExecutorPlan, user_options: UserOptions) -> None:
    """Refuse what would go before the cluster's own options of Celery, and what would be lost behind them."""
    ours = executor.config.get(_EXTRA)
    for source, given in user_options:
        if twice := sorted(_OURS & _names(given.get(_EXTRA))):
            raise ValueError(
                f"[celery] extra_celery_config by {source} sets {', '.join(twice)}, which this cluster says itself: use"
                " broker=, WorkerPool(concurrency=…) or the options of [celery_broker_transport_options]"
            )
        lost = [name for section, name in given if section == _TRANSPORT and (section, name) not in executor.config]
        if lost and isinstance(ours, Json) and "broker_transport_options" in cast("Mapping[str, object]", ours.tree):
            raise ValueError(
                f"[{_TRANSPORT}] {lost[0]} by {source} would be lost: with this broker and this release of Airflow,"
                " [celery] extra_celery_config takes the place of the section; remove it"
            )


def _check_run_task(executor: ExecutorPlan, user_options: UserOptions) -> None:
    """Refuse what would go before, or against, what the ECS executor says of its tasks: nothing would start."""
    ours = {name for section, name in executor.loader_config if section == _ECS}
    for source, given in user_options if "cluster" in ours else ():
        names = _names(given.get((_ECS, "run_task_kwargs")))
        if twice := sorted(names & {part for name in (*ours, *_RUN_TASK) for part in (name, _camel(name))}):
            raise ValueError(
                f"[{_ECS}] run_task_kwargs by {source} sets {', '.join(twice)}, which this cluster says itself; for"
                " Fargate Spot use EcsExecutor(spot=True)"
            )


def _camel(name: str) -> str:
    """A name as the API of AWS has it; Airflow takes both."""
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)


def _seconds(value: Value) -> float:
    """A number in text, if it is one: what else it may be, Airflow refuses."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"\d+(\.\d*)?", value) else 0


def _names(value: object) -> set[str]:
    """The names in text that is a JSON object, if it is one."""
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return set()
    return set(found) if isinstance(found, dict) else set()


def check_image(name: str, image: AirflowImage, executor: ExecutorPlan) -> Iterator[Advice]:
    """Say what an image must hold that this library cannot add to it, and that it may be another one tomorrow."""
    if image.source.moves:
        yield Advice(
            f"cdk-airflow-ecs:moving-image:{name}",
            f"{_image(name)} has no tag of its own: no deploy would say which one runs, and tasks that start later may"
            " run another Airflow than their scheduler; name a tag that never moves, or a digest",
        )
    added = (*executor.requirements, *executor.image_files)
    if added and not image.source.takes_requirements:
        yield Advice(
            f"cdk-airflow-ecs:image-requirements:{name}",
            f"{_image(name)} must hold {', '.join(added)}, which this library adds to the official image and to"
            f" AirflowImage.build(…) alone{_modules(executor)}",
        )


def _modules(executor: ExecutorPlan) -> str:
    """How to come by the modules that an image must hold."""
    shown = "; print(executor.plan(ExecutorContext(version=…)).image_files[{!r}]) shows what belongs into config/"
    return "".join(shown.format(name) for name in executor.image_files)


def check_router(router: LogRouter, name: str, service: Service) -> None:
    """Refuse a log router that would take all of a component's memory, if that is known.

    Raises:
        ValueError: naming the router and the component.
    """
    if is_known_int(service.memory_mib) and router.memory_mib >= service.memory_mib:
        raise ValueError(
            f"log_router={type(router).__name__}(memory_mib={router.memory_mib}) leaves nothing to {name}, which has"
            f" {service.memory_mib} MiB; keep less for the router, or give that service more memory_mib"
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
        if dags is None and image.source.has_dags:
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
        keeps = image.source.has_newer(_AMAZON, _KEEPS_LOGS)
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
