"""Options whose values the cluster relies on, but does not set. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.option_names import known, read_as
from cdk_airflow_ecs.option_owner import OptionOwner, UserOptions
from cdk_airflow_ecs.plan import Option, Value
from cdk_airflow_ecs.ports import TRIGGERER_LOG_PORT, WORKER_LOG_PORT
from cdk_airflow_ecs.process import HEARTBEAT_SECONDS
from cdk_airflow_ecs.settings import Settings

_HEARTBEATS: Final = (
    ("scheduler", "scheduler_heartbeat_sec"),
    ("scheduler", "job_heartbeat_sec"),
    ("triggerer", "job_heartbeat_sec"),
)


def option_owners(settings: Settings) -> list[OptionOwner]:
    """Return the parts of the cluster that check options."""
    return [settings.executor, *settings.resources().values()]


def relied_upon(settings: Settings, owners: Iterable[OptionOwner]) -> list[tuple[str, dict[Option, Value]]]:
    """Return the options that the cluster's processes and *owners* rely on, by reason."""
    here = known(settings.version.line)
    found = [_of_every_cluster(settings), *(owner.relied_upon(settings.version) for owner in owners)]
    return [
        (f"this cluster, {why}", {option: value for option, value in options.items() if option in here})
        for each in found
        for why, options in each.items()
    ]


def check_heartbeats(given: UserOptions, line: str) -> None:
    """Raise ``ValueError`` if a heartbeat interval in *given* is longer than health checks allow."""
    for source, options in given:
        for (section, name), value in options.items():
            if read_as((section, name), line) in _HEARTBEATS and _seconds(value) > HEARTBEAT_SECONDS:
                raise IncompatibleArgumentsError(
                    f"[{section}] {name} must be at most {HEARTBEAT_SECONDS}, got {value} by {source}. The health check"
                    " fails after that time without a heartbeat, and ECS would replace the task"
                )


def _of_every_cluster(settings: Settings) -> Mapping[str, Mapping[Option, Value]]:
    return {
        "whose security groups and health checks use it": {
            ("logging", "worker_log_server_port"): str(WORKER_LOG_PORT),
            ("logging", "trigger_log_server_port"): str(TRIGGERER_LOG_PORT),
        },
        "whose processes must agree on it": {("operators", "default_queue"): settings.default_queue},
        # Sessions are in the database: workers have the key that signs cookies, so with sessions in cookies, DAG code
        # could sign in as any user.
        "whose workers hold the key of session cookies": {
            ("fab", "session_backend"): "database",
            ("webserver", "session_backend"): "database",
        },
        "which requires users to sign in": {("fab", "auth_role_public"): ""},
        "whose sign-in page limits the attempts of each client": {
            ("fab", "auth_rate_limited"): "True",
            # More proxies than the load balancer would let a client choose its address, and so evade the limit.
            ("fab", "proxy_fix_x_for"): "1",
            ("webserver", "proxy_fix_x_for"): "1",
        },
        "which starts no health server": {
            ("scheduler", "scheduler_health_check_server_host"): "0.0.0.0",  # noqa: S104
            ("scheduler", "scheduler_health_check_server_port"): "8974",
        },
        # With this option but without --queues, the triggerer would skip the triggers of tasks that have a queue, and
        # all tasks have one.
        "whose triggerer serves no queue": {("triggerer", "queues_enabled"): "False"},
    }


def _seconds(value: Value) -> float:
    """Return *value* as a number, or 0 if it is not one, because Airflow itself rejects such a value."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"\d+(\.\d*)?", value) else 0
