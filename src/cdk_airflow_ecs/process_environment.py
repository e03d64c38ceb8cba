"""Options, variables and secrets of an Airflow process. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from cdk_airflow_ecs import option_merging, option_names
from cdk_airflow_ecs.airflow import FAB, FERNET_COMMAND, NO_DAGS, AirflowVersion
from cdk_airflow_ecs.capacity.queue_metric import parallelism
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.environment import split_environment
from cdk_airflow_ecs.executors.base import Workers
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.option_owner import UserOptions
from cdk_airflow_ecs.options import variables
from cdk_airflow_ecs.plan import Option, Ref, SecretRef, Value
from cdk_airflow_ecs.plan_context import PlanContext
from cdk_airflow_ecs.process import Process
from cdk_airflow_ecs.relied_upon import check_heartbeats

_DAGS_FOLDER: Final = ("core", "dags_folder")
# The first Airflow release with separate tokens for queued tasks (airflow/executors/workloads/base.py in its wheel).
_QUEUE_TOKENS_SINCE: Final = AirflowVersion.of("3.2.2")
_COOKIE_SECURE: Final = ("fab", "cookie_secure")


def process_environment(
    context: PlanContext, process: Process, workers: Workers | None, service: Service
) -> dict[str, Value]:
    """Return the variables and secrets of one process.

    *workers* is the executor's plan of this process, if any; *service* has the user's settings of its component.

    Raises:
        ValueError: if the user's options or variables contradict the cluster's.
    """
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
    own = [("this cluster", _own_options(context, process)), ("the executor", {**executor, **loader, **extra})]
    relied = option_merging.conflicts([*context.relied_upon, *user_options], line)
    conflicts = relied | option_merging.conflicts([*own, *user_options], line)
    if _DAGS_FOLDER not in context.dags.config:
        # The conflict would be with NO_DAGS. The DAG source has its own message, or else merge() raises the conflict.
        conflicts.pop(_DAGS_FOLDER, None)
    _refuse(conflicts, context, user_options)
    chosen = option_merging.overlay(
        _defaults(context, process), option_merging.merge([*own, *user_options], line), line
    )
    if "load-executor" in process.needs:
        chosen |= settings.executor.complete_options(chosen)
    if "dags" not in process.needs:
        chosen[_DAGS_FOLDER] = NO_DAGS
    fixed, added = _own_environment(context, process), _task_variables(context, process)
    set_by_cluster = {**fixed, **added}
    for source, more in (("environment=", settings.environment), (f"environment of {process.component}", given)):
        if contradicted := [name for name, value in more.items() if set_by_cluster.get(name, value) != value]:
            names = ", ".join(contradicted)
            raise IncompatibleArgumentsError(
                f"{source} sets {names} in {process.name}, which this cluster sets itself; remove it"
            )
    # Towards the end, because a pool with QueueScaling may be added later.
    late = parallelism(context.executor) if process.name == "scheduler" else {}
    last = variables({option: value for option, value in late.items() if option not in chosen})
    return {**variables(chosen), **fixed, **settings.environment, **given, **last, **added}


def _refuse(conflicts: Mapping[Option, str], context: PlanContext, given: UserOptions) -> None:
    """Raise one error with *conflicts* and the errors of other checks of the user's options."""
    version = context.settings.version
    checks = [partial(owner.check_options, version, given) for owner in context.owners]
    checks.append(partial(check_heartbeats, given, version.line))
    errors: list[IncompatibleArgumentsError] = []
    for check in checks:
        try:
            check()
        except IncompatibleArgumentsError as error:
            errors.append(error)
    found: dict[Option | str, str] = {}
    found.update(conflicts)
    found.update({str(error): str(error) for error in errors})
    if found:
        raise option_merging.OptionConflictError(found, errors)


def _defaults(context: PlanContext, process: Process) -> dict[Option, Value]:
    """Return the defaults of this library, which the user may change."""
    chosen: dict[Option, Value] = {
        ("core", "load_examples"): "False",
        # The migration gate checks the schema. After a rollback the schema is newer than the image, but services must
        # start.
        ("database", "check_migrations"): "False",
        # Logs are copied to S3 when a task ends. If workers kept them too, their disks would fill up.
        ("logging", "delete_local_logs"): "True",
        # Airflow's default of 600 s fails tasks whose workers are still starting.
        ("scheduler", "task_queued_timeout"): "1800",
    }
    if "executor" in process.needs:
        chosen |= context.executor.defaults
    if context.is_3:
        # One process per task, because count= is for scaling. The default of 3.0 is four (apache/airflow config.yml).
        chosen["api", "workers"] = "1"
        chosen["execution_api", "jwt_expiration_time"] = _token_seconds(context.settings.version)
        # Tasks retry for about four minutes while the web component is replaced: nineteen waits of up to 30 s.
        # Airflow's defaults end after 8 to 15 s (airflow/sdk/api/client.py), its heartbeat timeout after 300 s.
        chosen["workers", "execution_api_retries"] = "20"
        chosen["workers", "execution_api_retry_wait_max"] = "30"
    return chosen


def _token_seconds(version: AirflowVersion) -> str:
    """Return the lifetime of a task's token in seconds.

    Before Airflow 3.2.2, the lifetime starts when the task is queued, and may end before a worker starts the task
    (apache/airflow#53713); since then, queued tasks have a separate token (apache/airflow#60108). A running task renews
    its token in the last fifth of the lifetime (execution_api/app.py). That fifth must exceed the four minutes of
    retries, for which Airflow's 600 s are too short.
    """
    return "3600" if version >= _QUEUE_TOKENS_SINCE else "86400"


def _own_options(context: PlanContext, process: Process) -> dict[Option, Value]:
    settings = context.settings
    has_logs = process.needs & {"write-logs", "read-logs"}
    chosen: dict[Option, Value] = {
        ("core", "executor"): context.executor.class_path,
        # The web component reads logs from the process's address, because host names of containers do not resolve.
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
    if process.name in ("webserver", "api-server"):
        chosen |= _ui_options(context)
    if process.component == "Scheduler":
        # The scheduler's health check reads the heartbeat from the database instead.
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
        # Executors pass this URL to tasks in other containers.
        chosen["core", "execution_api_server_url"] = Ref("ExecutionApi", "url")
    if "dags" in needs:
        chosen |= context.dags.config
    else:
        # This value is only compared with the user's options; process_environment replaces it by NO_DAGS.
        chosen[_DAGS_FOLDER] = context.dags.config.get(_DAGS_FOLDER, NO_DAGS)
    return chosen


def _ui_options(context: PlanContext) -> dict[Option, Value]:
    has_https = context.settings.web.certificate is not None
    if not context.is_3:
        return {
            ("webserver", "enable_proxy_fix"): "True",
            ("webserver", "cookie_secure"): str(has_https),
            ("api", "auth_backends"): "airflow.api.auth.backend.basic_auth,airflow.api.auth.backend.session",
        }
    # The FAB provider of 3.0 does not have this option.
    exists = option_names.exists(_COOKIE_SECURE, context.settings.version.line)
    return {_COOKIE_SECURE: "True"} if has_https and exists else {}


def _own_environment(context: PlanContext, process: Process) -> dict[str, Value]:
    needs = process.needs
    # The official entry point would check connections with the broker's password on a command line.
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
    if context.is_3 and process.component == context.web and "session" in process.needs:
        # uvicorn uses the last address in X-Forwarded-For that is not a proxy's, so clients cannot forge theirs.
        variables["FORWARDED_ALLOW_IPS"] = Ref("Web", "proxies")
    return {**variables, **process.environment}


def _task_variables(context: PlanContext, process: Process) -> dict[str, Value]:
    if not process.runs_user_code:
        return {}
    tasks, version = context.settings.ecs_tasks, context.settings.version
    return {f"AIRFLOW_VAR_{task.variable.upper()}": task.operator_arguments(version) for task in tasks}
