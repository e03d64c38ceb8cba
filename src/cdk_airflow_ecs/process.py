"""One Airflow process: what starts, what it needs, and how ECS finds out that it works. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.secret_detection import refuse_command

HEARTBEAT_SECONDS: Final = 120  # without one, a process counts as dead
# What a process may need beyond the common configuration.
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
    """A command that ECS runs inside a container to learn whether it works.

    Args:
        command: the command and its arguments; no shell reads it.
        interval_seconds: time between two runs, 5 to 300.
        timeout_seconds: after which a run counts as failed, 2 to 120.
        retries: failures in a row before the container is unhealthy, 1 to 10.
        start_period_seconds: grace at start, 0 to 300. The default is 180: Airflow's start took up to 16 s of CPU time
            when measured, which is over a minute on a quarter of a vCPU.
    """

    command: tuple[str, ...]
    interval_seconds: int = 30
    timeout_seconds: int = 10
    retries: int = 5
    start_period_seconds: int = 180

    def __post_init__(self) -> None:
        object.__setattr__(self, "command", validation.items("HealthCheck command", self.command, '["true"]'))
        if not self.command or not all(isinstance(word, str) for word in self.command):
            raise ValueError(f"HealthCheck command is a list of words, got {validation.shown(self.command)}")
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
    """One Airflow process: how it starts, and what it must be given to work.

    Args:
        name: the name of its container.
        component: the component it belongs to; processes of one component share a task.
        command: what the image's entry point runs.
        needs: what it gets beyond the common configuration: "database", "fernet", "jwt", "session", "execution-api",
            "dags", "executor", "load-executor", "read-logs", "write-logs". Whoever needs the database may reach it.
        port: the port that others reach it on, if any.
        health_check: how ECS knows that it works.
        environment: variables of this process alone.
        runs_user_code: whether code of DAG authors runs in it.

    Raises:
        ValueError: if *needs* has a name that is not one of these.
    """

    name: str
    component: str
    command: tuple[str, ...]
    needs: frozenset[Need]
    port: int | None = None
    health_check: HealthCheck | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    runs_user_code: bool = False

    def __post_init__(self) -> None:
        if not self.needs <= _NEEDS:
            unknown = sorted(self.needs - _NEEDS)
            raise ValueError(
                f"Process {self.name!r}: {', '.join(map(repr, unknown))} is not a need; accepted:"
                f" {', '.join(sorted(_NEEDS))}"
            )


def http_check(url: str) -> HealthCheck:
    """Check that *url* answers. Costs 0.1 s of CPU time; ``airflow jobs check`` costs 5 s.

    The first answer of the execution API took 4.8 s when measured, later ones 2 ms; ECS itself waits 10 s.
    """
    return HealthCheck(command=("python3", "-ISc", f"import urllib.request as r;r.urlopen('{url}',timeout=9)"))


def tcp_check(port: int) -> HealthCheck:
    """Check that something listens on *port* of this container."""
    return HealthCheck(command=("python3", "-ISc", f"import socket;socket.create_connection(('127.0.0.1',{port}),5)"))


def heartbeat_check(job_type: str) -> HealthCheck:
    """Check that this host's own job of *job_type* wrote a heartbeat to the database not long ago."""
    script = (
        "import os,socket,sys,psycopg2;e=os.environ;"  # noqa: S608 - the job type is one of ours
        "c=psycopg2.connect(host=e['METADATA_HOST'],port=e['METADATA_PORT'],dbname=e['METADATA_NAME'],"
        "user=e['METADATA_USER'],password=e['METADATA_PASSWORD'],connect_timeout=5).cursor();"
        "c.execute('select 1 from job where job_type=%s and state=%s and hostname=%s"
        " and latest_heartbeat>now()-interval %s',"
        f"('{job_type}','running',socket.gethostbyname(socket.getfqdn()),'{HEARTBEAT_SECONDS} s'));"
        "sys.exit(not c.fetchone())"
    )
    return HealthCheck(command=("python3", "-c", script))
