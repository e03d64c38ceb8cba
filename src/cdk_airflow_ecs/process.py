"""An Airflow process, its needs and its health check. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.secret_detection import refuse_command

HEARTBEAT_SECONDS: Final = 120  # time without a heartbeat after which a process is unhealthy
# What a process needs in addition to the common configuration.
Need: TypeAlias = Literal[
    "database",
    "fernet",
    "jwt",
    "session",
    "execution-api",
    "dags",
    "executor",
    "load-executor",
    "read-logs",
    "write-logs",
]
_NEEDS: Final = frozenset(get_args(Need))


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """The health check command of a container.

    Args:
        command: the command and its arguments, without a shell.
        interval_seconds: time between two runs, 5 to 300.
        timeout_seconds: time limit of a run, 2 to 120.
        retries: consecutive failures before the container is unhealthy, 1 to 10.
        start_period_seconds: grace period at start, 0 to 300. In tests, Airflow's start needed up to 16 s of CPU time,
            which is over a minute with 0.25 vCPU.
    """

    command: tuple[str, ...]
    interval_seconds: int = 30
    timeout_seconds: int = 10
    retries: int = 5
    start_period_seconds: int = 180

    def __post_init__(self) -> None:
        object.__setattr__(self, "command", validation.items("HealthCheck command", self.command, '["true"]'))
        if not self.command or not all(isinstance(word, str) for word in self.command):
            raise ValueError(f"HealthCheck command must be a list of words, got {validation.shown(self.command)}")
        refuse_command("HealthCheck command", self.command)
        for name, low, high in (
            ("interval_seconds", 5, 300),
            ("timeout_seconds", 2, 120),
            ("retries", 1, 10),
            ("start_period_seconds", 0, 300),
        ):
            validation.integer(f"HealthCheck {name}", getattr(self, name), low, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """An Airflow process.

    Args:
        name: the name of its container.
        component: its component. Processes of one component share a task.
        command: the command.
        prefix: arguments before the command: a program that executes it.
        needs: additional configuration and connections: "database", "fernet", "jwt", "session", "execution-api",
            "dags", "executor", "load-executor", "read-logs", "write-logs".
        port: the port that it listens on.
        health_check: the health check of ECS.
        environment: variables of this process only.
        runs_user_code: whether it runs code of DAG authors.

    Raises:
        ValueError: if *needs* contains any other name.
    """

    name: str
    component: str
    command: tuple[str, ...]
    prefix: tuple[str, ...] = ()
    needs: frozenset[Need]
    port: int | None = None
    health_check: HealthCheck | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    runs_user_code: bool = False

    def __post_init__(self) -> None:
        if not self.needs <= _NEEDS:
            unknown = sorted(self.needs - _NEEDS)
            raise ValueError(
                f"Process {self.name!r}: needs must be among {', '.join(sorted(_NEEDS))}; got"
                f" {', '.join(map(repr, unknown))}"
            )


def http_check(url: str) -> HealthCheck:
    """Return a health check that requests *url*.

    It needs 0.1 s of CPU time, whereas ``airflow jobs check`` needs 5 s. In tests, the first response took 4.8 s.
    """
    return HealthCheck(command=("python3", "-ISc", f"import urllib.request as r;r.urlopen('{url}',timeout=9)"))


def tcp_check(port: int) -> HealthCheck:
    """Return a check that a process listens on *port* of the container."""
    return HealthCheck(command=("python3", "-ISc", f"import socket;socket.create_connection(('127.0.0.1',{port}),5)"))


def heartbeat_check(job_type: str) -> HealthCheck:
    """Return a check that the container's job of *job_type* wrote a heartbeat to the database recently."""
    script = (
        "import os,socket,sys,psycopg2;e=os.environ;"  # noqa: S608 - the job type is a constant
        "c=psycopg2.connect(host=e['METADATA_HOST'],port=e['METADATA_PORT'],dbname=e['METADATA_NAME'],"
        "user=e['METADATA_USER'],password=e['METADATA_PASSWORD'],connect_timeout=5).cursor();"
        "c.execute('select 1 from job where job_type=%s and state=%s and hostname=%s"
        " and latest_heartbeat>now()-interval %s',"
        f"('{job_type}','running',socket.gethostbyname(socket.getfqdn()),'{HEARTBEAT_SECONDS} s'));"
        "sys.exit(not c.fetchone())"
    )
    return HealthCheck(command=("python3", "-c", script))
