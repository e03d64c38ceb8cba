"""The entry point of the official image as a Python function, reduced to the effects that matter for commands.

It follows ``scripts/docker/entrypoint_prod.sh`` of apache/airflow at commit 424b6e9c055e (Airflow 3); the script at
65318caa011f (Airflow 2) has the same effects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_CHECKS = "CONNECTION_CHECK_MAX_COUNT"


@dataclass(frozen=True)
class Start:
    """The effects of the entry point.

    Args:
        executes: the command that the script finally executes; empty if the script fails first.
        runs: Airflow and pip commands that run before that command.
        waits_for: "database" and "broker", if the script waits for them.
        exposes: secrets passed as arguments, which every process of the container can read.
        reads: environment variables that have an effect.
    """

    executes: tuple[str, ...]
    runs: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    exposes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Return whether the script only starts the command."""
        return bool(self.executes) and not (self.runs or self.waits_for or self.exposes)


def start(environment: Mapping[str, str], arguments: Sequence[str], *, executor: str = "CeleryExecutor") -> Start:
    """Return the effects of the script; *executor* is the configured ``[core] executor``."""
    reads: list[str] = []

    def given(name: str) -> str:
        if environment.get(name):
            reads.append(name)
        return environment.get(name, "")

    runs: list[str] = []
    waits_for: list[str] = []
    exposes: list[str] = []
    # An unset and an empty variable both mean the default, because the script uses := and not =.
    checks = int(given(_CHECKS) or "20") > 0
    if checks:
        given("CONNECTION_CHECK_SLEEP_TIME")
        waits_for.append("database")
    upgrade, migrate = given("_AIRFLOW_DB_UPGRADE"), given("_AIRFLOW_DB_MIGRATE")
    if upgrade or migrate:
        runs.append("airflow db migrate")
    if given("_AIRFLOW_WWW_USER_CREATE"):
        for name in ("USERNAME", "FIRSTNAME", "LASTNAME", "EMAIL", "ROLE"):
            given(f"_AIRFLOW_WWW_USER_{name}")
        if not (given("_AIRFLOW_WWW_USER_PASSWORD_CMD") or given("_AIRFLOW_WWW_USER_PASSWORD")):
            return Start((), tuple(runs), tuple(waits_for), (), tuple(reads))
        runs.append("airflow users create")
        exposes.append("admin password")
    if given("_PIP_ADDITIONAL_REQUIREMENTS"):
        given("AIRFLOW_VERSION")
        runs.append("pip install")
    first = arguments[0] if arguments else ""
    if first in ("bash", "python"):
        program = "/bin/bash" if first == "bash" else "python"
        return _done((program, *arguments[1:]), runs, waits_for, exposes, reads)
    rest = tuple(arguments[1:] if first == "airflow" else arguments)
    if checks and rest[:1] in (("scheduler",), ("celery",)) and executor == "CeleryExecutor":
        # The script passes the broker's URL to Python as an argument; the variables below override parts of the URL.
        waits_for.append("broker")
        exposes.append("broker URL")
        for name in ("BACKEND", "DB_HOST", "DB_PORT"):
            given(name)
    return _done(("airflow", *rest), runs, waits_for, exposes, reads)


def _done(executes: tuple[str, ...], *others: list[str]) -> Start:
    return Start(executes, *(tuple(other) for other in others))
