"""The regular deletion of old rows in the metadata database. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.fargate import check_size
from cdk_airflow_ecs.commands.airflow_task import AirflowTask
from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.schedule_expressions import check_schedule

if TYPE_CHECKING:
    from cdk_airflow_ecs.airflow import AirflowVersion

# In 3.0, a deleted DAG version takes its task instances with it, however new they are. In 3.1 and 3.2, the command
# fails on a DAG version that task instances refer to, and 3.3 keeps such versions (taskinstance.py and db_cleanup.py of
# each release). "dag" includes "dag_version".
_UNSAFE: Final = ("dag", "dag_version")
_SAFE: Final = (
    *("job", "dag_run", "asset_event", "import_error", "log", "task_instance", "task_instance_history"),
    *("task_reschedule", "xcom", "_xcom_archive", "callback_request", "celery_taskmeta", "celery_tasksetmeta"),
    *("trigger", "deadline", "session"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseCleanup:
    """A scheduled ECS task that deletes old rows of the metadata database with ``airflow db clean``.

    Rows are deleted without a copy. Automatic backups of the database contain them.

    Args:
        keep_days: age in days after which rows are deleted, 1 to 3650. It must exceed the duration of every DAG run,
            and the period for which you clear and rerun tasks.
        schedule: EventBridge Scheduler expression ``cron(minutes hours day-of-month month day-of-week year)``.
        time_zone: IANA time zone of the schedule, such as "Europe/Berlin".
        tables: names of tables to clean. The default is every table, except ``dag`` and ``dag_version`` in Airflow 3.0
            to 3.2, whose deletion fails or deletes recent task instances.
        cpu: CPU units; 1024 is one vCPU.
        memory_mib: memory in MiB.

    Raises:
        ValueError: for an invalid argument.

    Examples:
        >>> DatabaseCleanup(keep_days=30, schedule="cron(0 3 ? * SUN *)").time_zone
        'Etc/UTC'
    """

    keep_days: int = 90
    schedule: str = "cron(0 3 * * ? *)"
    time_zone: str = "Etc/UTC"
    tables: Sequence[str] = ()
    cpu: int = 512
    memory_mib: int = 1024

    def __post_init__(self) -> None:
        validation.integer("DatabaseCleanup keep_days", self.keep_days, 1, 3650)
        validation.text("DatabaseCleanup schedule", self.schedule, "cron(0 3 * * ? *)", required=True)
        check_schedule("DatabaseCleanup schedule", self.schedule, self.time_zone)
        if self.schedule.startswith("rate("):
            # EventBridge Scheduler User Guide, "Schedule types": without a start date the first run is immediate.
            raise ValueError(
                f"DatabaseCleanup schedule must be cron(…), got {validation.shown(self.schedule)}, which deletes rows"
                ' as soon as it is deployed. Use, for example, "cron(0 3 ? * SUN *)"'
            )
        check_size("DatabaseCleanup", self.cpu, self.memory_mib)
        tables = validation.items("DatabaseCleanup tables", self.tables, '["log", "xcom"]')
        for table in tables:
            if not isinstance(table, str) or not table.isidentifier():
                raise ValueError(
                    f"DatabaseCleanup tables must be names of Airflow's tables such as 'log', got"
                    f" {validation.shown(table)}"
                )
        object.__setattr__(self, "tables", tables)

    def airflow_task(self, version: AirflowVersion) -> AirflowTask:
        """Return the task that cleans the database of *version*.

        Raises:
            ValueError: if *version* cannot clean one of the tables.
        """
        tables = tuple(self.tables)
        if (version.major, version.minor) in ((3, 0), (3, 1), (3, 2)):
            unsafe = [table for table in tables if table in _UNSAFE]
            if unsafe:
                raise IncompatibleArgumentsError(
                    f"DatabaseCleanup tables={validation.shown(unsafe[0])} requires another release than Airflow"
                    f" {version}, whose `airflow db clean` fails on this table or deletes recent task instances. Remove"
                    " it from tables=, or use Airflow 3.3"
                )
            tables = tables or _SAFE
        return AirflowTask(
            name="database-cleanup",
            command=("python", "-c", program("clean_database"), str(self.keep_days), *filter(None, [",".join(tables)])),
            schedule=self.schedule,
            time_zone=self.time_zone,
            cpu=self.cpu,
            memory_mib=self.memory_mib,
            needs=frozenset({"database"}),
        )
