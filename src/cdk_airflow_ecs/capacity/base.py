"""The contract of a capacity: the machines that the tasks of a component run on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

# What a task definition is written for (Amazon ECS API Reference, RegisterTaskDefinition, requiresCompatibilities).
Compatibility: TypeAlias = Literal["FARGATE", "EC2", "MANAGED_INSTANCES"]


@dataclass(frozen=True, slots=True)
class ProviderShare:
    """One entry of a capacity provider strategy.

    Args:
        provider: the name of the capacity provider; may be a token.
        weight: its share of the tasks beyond every base.
        base: the tasks that it runs before weights count.
    """

    provider: str
    weight: int = 1
    base: int = 0


class Capacity(ABC):
    """Machines for tasks: Fargate, or those that a capacity provider of the ECS cluster brings.

    A capacity is pure data. The renderer makes the task definition and the service from it, so another capacity is one
    class in one file. Tasks always have a network interface of their own (``awsvpc``), since each component has its
    own security group.
    """

    @property
    @abstractmethod
    def compatibility(self) -> Compatibility:
        """What the task definitions are written for."""

    @abstractmethod
    def check(self, owner: str, cpu: object, memory_mib: object, ephemeral_storage_gib: object = None) -> None:
        """Refuse a size of task that these machines do not have. Values known only at deploy time pass.

        Args:
            owner: the component or argument that has the size, for the message.
            cpu: CPU units; 1024 is one vCPU.
            memory_mib: memory in MiB.
            ephemeral_storage_gib: disk in GiB; None is what every task has.

        Raises:
            ValueError: naming the values accepted.
        """

    @property
    def strategy(self) -> tuple[ProviderShare, ...]:
        """The capacity providers that start the tasks. Empty means the launch type of :attr:`compatibility`."""
        return ()

    @property
    def spot(self) -> bool:
        """Whether AWS may stop a task two minutes after a warning."""
        return False

    @property
    def providers(self) -> tuple[str, ...]:
        """The capacity providers that the ECS cluster must offer, by name."""
        return tuple(share.provider for share in self.strategy)

    def run_task(self) -> Mapping[str, object]:
        """Return what RunTask must be given to start a task here, by boto's and Airflow's argument names.

        The entries of a strategy have the API's own names: ``{"capacityProvider": "FARGATE_SPOT", "weight": 1}``.
        """
        if not self.strategy:
            return {"launch_type": self.compatibility}
        return {
            "capacity_provider_strategy": [
                {
                    "capacityProvider": share.provider,
                    "weight": share.weight,
                    **({"base": share.base} if share.base else {}),
                }
                for share in self.strategy
            ]
        }
