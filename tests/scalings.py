"""A pool scaling for tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cdk_airflow_ecs import Scaling


@dataclass(frozen=True)
class Protecting(Scaling):
    """A pool scaling that changes no desired count, but protects workers that run tasks."""

    @property
    def protects_tasks(self) -> bool:
        """Return True, so that workers start through worker_protection.py."""
        return True

    def attach(self, service: Any, cluster: Any) -> None:
        """Do nothing."""
