"""The contract of a store for task logs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from cdk_airflow_ecs.binding import Store
from cdk_airflow_ecs.plan import Option, Permission, Value


class LogStore(Store):
    """Keeps the logs of Airflow tasks; container logs always go to CloudWatch Logs."""

    @abstractmethod
    def config(self) -> Mapping[Option, Value]:
        """The options of every process: writers write there, and the web component reads there."""

    def unconcerned(self) -> Mapping[Option, Value]:
        """The options of a process that neither writes nor reads task logs. The default is those of every process."""
        return self.config()

    @abstractmethod
    def readers(self) -> tuple[Permission, ...]:
        """What a process that shows logs may do."""

    @abstractmethod
    def writers(self) -> tuple[Permission, ...]:
        """What a process that writes logs may do."""
