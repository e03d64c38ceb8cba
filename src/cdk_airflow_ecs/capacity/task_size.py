"""The size of a Fargate task."""

from __future__ import annotations

from dataclasses import dataclass

from cdk_airflow_ecs.capacity.fargate import check_ephemeral_storage, check_size


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSize:
    """CPU units (1024 are one vCPU), memory and disk of a Fargate task. The default disk has 20 GiB."""

    cpu: int = 1024
    memory_mib: int = 2048
    ephemeral_storage_gib: int | None = None

    def check_size(self, owner: str) -> None:
        """Raise ValueError, with the accepted values, if Fargate does not offer the size of *owner*."""
        check_size(owner, self.cpu, self.memory_mib)
        check_ephemeral_storage(owner, self.ephemeral_storage_gib)
