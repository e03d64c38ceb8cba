"""Options that the cluster does not set, but relies on: collected from their owners. Pure."""

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
    """List the parts of the cluster that have a say in options."""
    return [settings.executor, *settings.resources().values()]


def relied_upon(settings: Settings, owners: Iterable[OptionOwner]) -> list[tuple[str, dict[Option, Value]]]:
    """Collect what the cluster's processes and *owners* rely on, by what relies on it."""
    here = known(settings.version.line)
    found = [_of_every_cluster(settings), *(owner.relied_upon(settings.version) for owner in owners)]
    return [
        (f"this cluster, {why}", {option: value for option, value in options.items() if option in here})
        for each in found
        for why, options in each.items()
    ]


def check_heartbeats(given: UserOptions, line: str) -> None:
    """Refuse heartbeats so rare that health checks would take a process for dead.

    Args:
        given: what the user says of the options of one process, by the argument that says it.
        line: the release line, such as "3.3".

    Raises:
        ValueError: naming the option, and the argument that sets it.
    """
    for source, options in given:
        for (section, name), value in options.items():
            if read_as((section, name), line) in _HEARTBEATS and _seconds(value) > HEARTBEAT_SECONDS:
                raise IncompatibleArgumentsError(
                    f"[{section}] {name} by {source} is {value}: health checks take a process with no heartbeat for"
                    f" {HEARTBEAT_SECONDS} s for dead, and ECS replaces it; take less"
                )


def _of_every_cluster(settings: Settings) -> Mapping[str, Mapping[Option, Value]]:
    """What the processes that every cluster runs rely on, whatever its executor and resources."""
    return {
        "whose security groups and health checks use it": {
            ("logging", "worker_log_server_port"): str(WORKER_LOG_PORT),
            ("logging", "trigger_log_server_port"): str(TRIGGERER_LOG_PORT),
        },
        "whose processes must agree on it": {("operators", "default_queue"): settings.default_queue},
        # Its secret is the web component's, and workers have it too: with it, code of a DAG would sign in as anybody.
        "whose workers hold the key of session cookies": {
            ("fab", "session_backend"): "database",
            ("webserver", "session_backend"): "database",
        },
        "where nobody signs in without a password": {("fab", "auth_role_public"): ""},
        "which starts no health server": {
            ("scheduler", "scheduler_health_check_server_host"): "0.0.0.0",  # noqa: S104
            ("scheduler", "scheduler_health_check_server_port"): "8974",
        },
        # Without --queues it would take no trigger of a task that has a queue, which is any.
        "whose triggerer serves no queue": {("triggerer", "queues_enabled"): "False"},
    }


def _seconds(value: Value) -> float:
    """A number in text, if it is one: what else it may be, Airflow refuses."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"\d+(\.\d*)?", value) else 0
