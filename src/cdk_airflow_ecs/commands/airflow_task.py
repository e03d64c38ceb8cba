"""ECS tasks that run one Airflow command. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.capacity.task_size import TaskSize
from cdk_airflow_ecs.process import Need, Process
from cdk_airflow_ecs.schedule_expressions import check_schedule
from cdk_airflow_ecs.secret_detection import refuse_command

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

# What a command needs to connect to the database and decrypt connections; with "dags", also to load DAGs.
DATABASE: Final[frozenset[Need]] = frozenset({"database", "fernet"})
WITH_DAGS: Final[frozenset[Need]] = DATABASE | {"dags"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowTask(TaskSize):
    """The arguments of ``AirflowCluster.add_airflow_task``, which documents them.

    *needs* are those of a :class:`Process`.
    """

    name: str
    command: Sequence[str]
    schedule: str | None = None
    time_zone: str = "Etc/UTC"
    environment: Mapping[str, str | ecs.Secret] = field(default_factory=dict)
    needs: frozenset[Need] = WITH_DAGS

    def __post_init__(self) -> None:
        validation.name("an Airflow task's name", self.name)
        task = f"Airflow task {validation.shown(self.name)}"
        example = '["airflow", "dags", "reserialize"]'
        words = validation.items(f"{task}: command", self.command, example)
        if not words or not all(isinstance(word, str) and word for word in words):
            raise ValueError(
                f"{task}: command must be a list of words such as {example}, got {validation.shown(self.command)}"
            )
        refuse_command(f"{task}: command", words)
        object.__setattr__(self, "command", words)
        check_schedule(f"{task}: schedule", self.schedule, self.time_zone)
        self.check_size(task)
        _ = self.service  # checks the other arguments

    @property
    def component(self) -> str:
        """The name and construct path of the task's component."""
        return f"AirflowTasks/{self.name}"

    @property
    def service(self) -> Service:
        """The size and environment variables of the task."""
        return Service.of(self, environment=self.environment)

    @property
    def process(self) -> Process:
        """The process of the task."""
        return Process(
            name="airflow",
            component=self.component,
            command=tuple(self.command),
            needs=self.needs,
            runs_user_code="dags" in self.needs,
        )
