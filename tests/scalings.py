"""A scaling for tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cdk_airflow_ecs import Scaling


@dataclass(frozen=True)
class Protecting(Scaling):
    """A scaling that creates no scaler, and protects running tasks."""

    @property
    def protects_tasks(self) -> bool:
        """See :attr:`Scaling.protects_tasks`."""
        return True

    def attach(self, service: Any, cluster: Any) -> None:
        """Do nothing."""
