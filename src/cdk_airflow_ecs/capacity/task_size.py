"""The size of one Fargate task, wherever a user or a plan gives one."""

from __future__ import annotations

from dataclasses import dataclass

from cdk_airflow_ecs.capacity.fargate import check_ephemeral_storage, check_size


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSize:
    """CPU, memory and disk of one Fargate task; the base of everything that has them.

    Args:
        cpu: CPU units; 1024 is one vCPU.
        memory_mib: memory in MiB.
        ephemeral_storage_gib: disk, 21 to 200 GiB. The default is Fargate's 20 GiB.
    """

    cpu: int = 1024
    memory_mib: int = 2048
    ephemeral_storage_gib: int | None = None

    def check_size(self, owner: str) -> None:
        """Refuse a size that Fargate does not have.

        Args:
            owner: whose size it is, in the user's words.

        Raises:
            ValueError: naming the values accepted.
        """
        check_size(owner, self.cpu, self.memory_mib)
        check_ephemeral_storage(owner, self.ephemeral_storage_gib)
