"""The size of a task."""

from __future__ import annotations

from dataclasses import dataclass

from cdk_airflow_ecs.capacity.base import Capacity
from cdk_airflow_ecs.capacity.fargate import Fargate


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSize:
    """CPU units (1024 are one vCPU), memory and disk of a task. Fargate's default disk has 20 GiB."""

    cpu: int = 1024
    memory_mib: int = 2048
    ephemeral_storage_gib: int | None = None

    def check_size(self, owner: str, capacity: Capacity | None = None) -> None:
        """Raise ValueError, with the accepted values, if *capacity* does not offer the size of *owner*.

        The default is Fargate.
        """
        (capacity or Fargate()).check(owner, self.cpu, self.memory_mib, self.ephemeral_storage_gib)
