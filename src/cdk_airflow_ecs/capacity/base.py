"""The contract of a capacity."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from cdk_airflow_ecs.binding import Binding
    from cdk_airflow_ecs.capacity.machines import MachinesContext

# Values of requiresCompatibilities (Amazon ECS API Reference, RegisterTaskDefinition).
Compatibility: TypeAlias = Literal["FARGATE", "EC2", "MANAGED_INSTANCES"]


class ProviderRef(Protocol):
    """A :class:`~cdk_airflow_ecs.plan.Ref` to the name of a capacity provider that the cluster creates."""

    @property
    def of(self) -> str:
        """The cluster resource."""

    @property
    def attribute(self) -> str:
        """The attribute of the cluster resource."""


@dataclass(frozen=True, slots=True)
class ProviderShare:
    """One entry of a capacity provider strategy.

    Args:
        provider: name of the capacity provider; may be a token. If :meth:`Capacity.bind` creates the capacity provider,
            a :class:`~cdk_airflow_ecs.plan.Ref`.
        weight: share of the tasks beyond all bases.
        base: minimum number of tasks, started before weights apply.
    """

    provider: str | ProviderRef
    weight: int = 1
    base: int = 0


class Capacity(ABC):
    """Machines for tasks: Fargate, or those of a capacity provider.

    A capacity is pure data, from which task definitions and services are rendered. Tasks always use ``awsvpc``
    networking, because each component has its own security group.
    """

    @property
    @abstractmethod
    def compatibility(self) -> Compatibility:
        """The compatibility of the task definitions."""

    @abstractmethod
    def check(self, owner: str, cpu: object, memory_mib: object, ephemeral_storage_gib: object = None) -> None:
        """Raise ValueError, with the accepted values, if these machines do not offer a task size. Accept tokens.

        Args:
            owner: component or argument, for the message.
            cpu: CPU units; 1024 is one vCPU.
            memory_mib: memory in MiB.
            ephemeral_storage_gib: disk in GiB; None is the default size.
        """

    @property
    def strategy(self) -> tuple[ProviderShare, ...]:
        """The capacity providers of the tasks. If empty, the launch type is :attr:`compatibility`."""
        return ()

    @property
    def spot(self) -> bool:
        """Whether AWS can stop tasks with two minutes' notice."""
        return False

    @property
    def gpu(self) -> int:
        """The number of GPUs of each task, reserved for its first container."""
        return 0

    @property
    def providers(self) -> tuple[str, ...]:
        """Names of the capacity providers that the cluster associates with the ECS cluster.

        Those of ECS Managed Instances are not among them, because they belong to one ECS cluster from their creation,
        and PutClusterCapacityProviders rejects them (hashicorp/terraform-provider-aws#44783).
        """
        if self.compatibility == "MANAGED_INSTANCES":
            return ()
        return tuple(share.provider for share in self.strategy if isinstance(share.provider, str))

    def within(self, ecs_cluster: str) -> Capacity:
        """Return this capacity for tasks of another ECS cluster of the construct.

        Args:
            ecs_cluster: "Cluster", or "TaskCluster" for tasks of ``add_ecs_task``.
        """
        del ecs_cluster
        return self

    def bind(self, context: MachinesContext) -> Mapping[str, Binding]:
        """Connect the machines with an ECS cluster, once per ECS cluster, and return bindings for refs by name."""
        del context
        return {}

    def run_task(self) -> Mapping[str, object]:
        """Return the RunTask arguments for these machines, in boto's and Airflow's spelling.

        Entries of a strategy have the API's names: ``{"capacityProvider": "FARGATE_SPOT", "weight": 1}``.
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
