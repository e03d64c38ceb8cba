"""The differences between Airflow releases: processes, commands, ports, option names. Pure.

Sources: Airflow's ``config.yml`` and ``cli_config.py``, and tests. docs/concepts/security.md explains what each process
needs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.ports import EXECUTION_API_PORT, TRIGGERER_LOG_PORT, WEB_PORT, WORKER_LOG_PORT
from cdk_airflow_ecs.process import Need, Process, heartbeat_check, http_check

EXECUTION_API_NAME = "execution-api"
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
# A Fernet key is base64: the 43 generated letters and digits need a final "=".
FERNET_COMMAND = "python3 -ISc \"import os;print(os.environ['FERNET_SEED']+'=',end='')\""
# The DAG folder of the web component, which reads no DAGs: it must not exist.
NO_DAGS = "/nonexistent"


@dataclass(frozen=True, slots=True, order=True)
class AirflowVersion:
    """A release of Apache Airflow, 2.8 to 3.3; a later 3.x causes a warning.

    The constants, such as ``AirflowVersion.V3_3``, are tested patch releases; use ``AirflowVersion.of("2.8.1")`` for
    others.

    Args:
        major: the first number, 2 or 3.
        minor: the second number.
        patch: the third number.

    Examples:
        >>> AirflowVersion.of("2.8.1").major
        2
    """

    major: int
    minor: int
    patch: int

    V2_8: ClassVar[AirflowVersion]
    V2_9: ClassVar[AirflowVersion]
    V2_10: ClassVar[AirflowVersion]
    V2_11: ClassVar[AirflowVersion]
    V3_0: ClassVar[AirflowVersion]
    V3_1: ClassVar[AirflowVersion]
    V3_2: ClassVar[AirflowVersion]
    V3_3: ClassVar[AirflowVersion]
    LATEST: ClassVar[AirflowVersion]
    ALL: ClassVar[tuple[AirflowVersion, ...]]

    @classmethod
    def of(cls, version: str) -> AirflowVersion:
        """Return a release by its number.

        Args:
            version: "2.8.1", or "3.3" for the tested patch release.

        Raises:
            ValueError: if it is neither a release from 2.8 to 3.3 nor the full number of a later 3.x.
        """
        match = re.fullmatch(r"(\d+)\.(\d+)(?:\.(\d+))?", version) if isinstance(version, str) else None
        if match is None:
            raise ValueError(
                f'AirflowVersion.of: version must be a release such as "3.3.2", got {validation.shown(version)}'
            )
        major, minor, patch = (int(part or 0) for part in match.groups())
        for known in cls.ALL:
            if (known.major, known.minor) == (major, minor):
                return known if match[3] is None else cls(major, minor, patch)
        if major == cls.LATEST.major and minor > cls.LATEST.minor and match[3] is not None:
            return cls(major, minor, patch)
        is_later = major == cls.LATEST.major and minor > cls.LATEST.minor
        later = f', or the full number of a later release, such as "{version}.0"' if is_later else ""
        raise ValueError(f"Airflow {version} is not supported. Use one of {', '.join(v.line for v in cls.ALL)}{later}")

    @property
    def line(self) -> str:
        """The minor release, such as "3.3"."""
        return f"{self.major}.{self.minor}"

    @property
    def is_verified(self) -> bool:
        """Whether this library was tested with this minor release."""
        return any(known.line == self.line for known in AirflowVersion.ALL)

    @property
    def constant(self) -> str:
        """The Python expression for this release."""
        known = next((v for v in AirflowVersion.ALL if v == self), None)
        return f"AirflowVersion.V{known.major}_{known.minor}" if known else f'AirflowVersion.of("{self}")'

    @property
    def python(self) -> str:
        """The Python release of the official image that the cluster uses."""
        return "3.11" if (self.major, self.minor) == (2, 8) else "3.12"

    @property
    def has_s3_bundle(self) -> bool:
        """Whether the S3 DAG bundle in the official image of this release mirrors the bucket correctly.

        In tests, the bundle missed edits that kept a file's size before amazon provider 9.19, and deletions in
        subfolders before 9.22. Airflow 3.2.0 was the first Airflow release after provider 9.23.0.
        """
        return (self.major, self.minor) >= (3, 2)

    @property
    def session_section(self) -> str:
        """The section of the option ``secret_key``, which moved in 3.0.2."""
        return "api" if self >= AirflowVersion(3, 0, 2) else "webserver"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


AirflowVersion.V2_8 = AirflowVersion(2, 8, 4)
AirflowVersion.V2_9 = AirflowVersion(2, 9, 3)
AirflowVersion.V2_10 = AirflowVersion(2, 10, 5)
AirflowVersion.V2_11 = AirflowVersion(2, 11, 2)
AirflowVersion.V3_0 = AirflowVersion(3, 0, 6)
AirflowVersion.V3_1 = AirflowVersion(3, 1, 8)
AirflowVersion.V3_2 = AirflowVersion(3, 2, 2)
AirflowVersion.V3_3 = AirflowVersion(3, 3, 2)
AirflowVersion.LATEST = AirflowVersion.V3_3
AirflowVersion.ALL = (
    AirflowVersion.V2_8,
    AirflowVersion.V2_9,
    AirflowVersion.V2_10,
    AirflowVersion.V2_11,
    AirflowVersion.V3_0,
    AirflowVersion.V3_1,
    AirflowVersion.V3_2,
    AirflowVersion.V3_3,
)


# Without the import in this command, ``airflow dag-processor`` of 2.x fails on an empty DAG folder
# (apache/airflow#36885; 2.11.2).
_DAG_PROCESSOR_2 = (
    "python",
    "-c",
    "import multiprocessing.connection,sys;sys.argv[0]='airflow';from airflow.__main__ import main;main()",
    "dag-processor",
)


def processes(version: AirflowVersion, *, tasks_in_scheduler: bool) -> tuple[Process, ...]:
    """Return the Airflow processes that a cluster of *version* runs, whatever its executor.

    Args:
        version: the Airflow release.
        tasks_in_scheduler: whether the scheduler also runs tasks, and so needs the configuration of workers.
    """
    scheduler_needs: set[Need] = {"database", "fernet", "executor", "load-executor"}
    if tasks_in_scheduler:
        scheduler_needs |= {"session", "execution-api", "dags", "write-logs"}
    if version.major >= 3:
        scheduler_needs.add("jwt")
    common = (
        Process(
            name="scheduler",
            component="Scheduler",
            command=("airflow", "scheduler"),
            needs=frozenset(scheduler_needs),
            port=WORKER_LOG_PORT if tasks_in_scheduler else None,
            # The check does not use Airflow's health server: its forked process shares the TLS connection to the
            # database, and breaks it, so the scheduler stops (2.11.2: "bad record mac").
            health_check=heartbeat_check("SchedulerJob"),
            runs_user_code=tasks_in_scheduler,
        ),
        Process(
            name="dag-processor",
            component="DagProcessor",
            command=("airflow", "dag-processor") if version.major >= 3 else _DAG_PROCESSOR_2,
            needs=frozenset({"database", "fernet", "dags"}),
            health_check=heartbeat_check("DagProcessorJob"),
            runs_user_code=True,
        ),
        Process(
            name="triggerer",
            component="Triggerer",
            command=("airflow", "triggerer"),
            needs=frozenset({"database", "fernet", "session", "write-logs"}),
            port=TRIGGERER_LOG_PORT,
            health_check=heartbeat_check("TriggererJob"),
            runs_user_code=True,
        ),
    )
    return (*_web_processes(version), *common)


def _web_processes(version: AirflowVersion) -> tuple[Process, ...]:
    if version.major == 2:
        return (
            Process(
                name="webserver",
                component="Webserver",
                command=("airflow", "webserver"),
                needs=frozenset({"database", "fernet", "session", "read-logs", "load-executor"}),
                port=WEB_PORT,
                health_check=http_check(f"http://127.0.0.1:{WEB_PORT}/health"),
            ),
        )
    api_needs: frozenset[Need] = frozenset({"database", "fernet", "jwt"})
    return (
        Process(
            name="api-server",
            component="ApiServer",
            command=("airflow", "api-server", "--apps", "core", "--port", str(WEB_PORT), "--proxy-headers"),
            needs=api_needs | {"session", "read-logs", "load-executor"},
            port=WEB_PORT,
            health_check=http_check(f"http://127.0.0.1:{WEB_PORT}/api/v2/version"),
        ),
        Process(
            name="execution-api",
            component="ApiServer",
            command=("airflow", "api-server", "--apps", "execution", "--port", str(EXECUTION_API_PORT)),
            needs=api_needs,
            port=EXECUTION_API_PORT,
            health_check=http_check(f"http://127.0.0.1:{EXECUTION_API_PORT}/execution/health"),
        ),
    )


def web_component(version: AirflowVersion) -> str:
    """Return the name of the component behind the load balancer."""
    return "ApiServer" if version.major >= 3 else "Webserver"


def web_health_path(version: AirflowVersion) -> str:
    """Return the load balancer's health check path."""
    return "/api/v2/version" if version.major >= 3 else "/health"
