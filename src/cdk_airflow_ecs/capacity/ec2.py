"""EC2 machines of an existing capacity provider."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.base import Capacity, Compatibility, ProviderShare
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_ecs as ecs

    from cdk_airflow_ecs.binding import Binding
    from cdk_airflow_ecs.capacity.machines import MachinesContext

# CPU units of a task outside Fargate (Amazon ECS API Reference, RegisterTaskDefinition, cpu).
CPU: Final = (128, 196_608)
# The memory with which Airflow's smallest process starts; ECS has no minimum for tasks outside Fargate.
_MEMORY_MIB: Final = 512
# GPUs of the largest EC2 instances (Amazon EC2 instance types, "Accelerated computing").
GPUS: Final = 16
# Names that ECS reserves (Amazon ECS API Reference, CreateCapacityProvider, name).
_RESERVED: Final = r"(?i)(aws|ecs|fargate)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ec2Capacity(Capacity):
    """EC2 instances of an existing capacity provider, in the cluster's VPC.

    Each task has its own network interface, of which an instance has few: set the account setting ``awsvpcTrunking``
    to run more tasks per instance.

    Args:
        provider: an ``ecs.AsgCapacityProvider`` of the same stack, whose instances then join the ECS cluster; or the
            name of a capacity provider whose instances are in the ECS cluster.
        gpu: GPUs of each task.

    Raises:
        ValueError: if an argument is invalid.

    Examples:
        >>> Ec2Capacity(provider="gpu-machines", gpu=1).run_task()
        {'capacity_provider_strategy': [{'capacityProvider': 'gpu-machines', 'weight': 1}]}
    """

    provider: ecs.AsgCapacityProvider | str
    gpu: int = 0

    def __post_init__(self) -> None:
        accepted = 'an ecs.AsgCapacityProvider, or the name of a capacity provider such as "gpu-machines"'
        if not isinstance(self.provider, str):
            what = "Ec2Capacity provider"
            validation.construct(what, self.provider, "capacity_provider_name", accepted, required=True)
            validation.construct(what, self.provider, "auto_scaling_group", accepted, required=True)
        elif not is_token(self.provider) and not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", self.provider):
            raise ValueError(f"Ec2Capacity provider must be {accepted}, got {validation.shown(self.provider)}")
        elif re.match(_RESERVED, self.provider):
            raise ValueError(
                f"Ec2Capacity provider must be {accepted}, got {validation.shown(self.provider)}, a name that ECS"
                " reserves. For Fargate Spot, use capacity=Fargate(spot=True)"
            )
        validation.integer("Ec2Capacity gpu", self.gpu, 0, GPUS)

    @property
    def compatibility(self) -> Compatibility:
        """See :attr:`Capacity.compatibility`."""
        return "EC2"

    @property
    def strategy(self) -> tuple[ProviderShare, ...]:
        """See :attr:`Capacity.strategy`."""
        provider = self.provider
        return (ProviderShare(provider if isinstance(provider, str) else provider.capacity_provider_name),)

    def check(self, owner: str, cpu: object, memory_mib: object, ephemeral_storage_gib: object = None) -> None:
        """See :meth:`Capacity.check`."""
        check_machine_size(owner, type(self).__name__, cpu, memory_mib, ephemeral_storage_gib)

    def bind(self, context: MachinesContext) -> Mapping[str, Binding]:
        """See :meth:`Capacity.bind`."""
        if not isinstance(self.provider, str):
            context.cluster.add_asg_capacity_provider(self.provider)
            # Otherwise, tasks could read the instance role's credentials (Amazon ECS developer guide, "Task IAM role",
            # and Bottlerocket, "settings.ecs"). CDK's user data ends with the section of ECS.
            bottlerocket = self.provider.machine_image_type.name == "BOTTLEROCKET"
            script = "echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config"
            self.provider.auto_scaling_group.add_user_data("awsvpc-block-imds = true" if bottlerocket else script)
        return {}


def check_machine_size(owner: str, machines: str, cpu: object, memory_mib: object, disk: object) -> None:
    """Raise ValueError, with the accepted values, if a task outside Fargate cannot have a size. Accept tokens."""
    validation.integer(f"{owner}: cpu (1024 is one vCPU) on {machines}", cpu, *CPU, tokens=True)
    validation.integer(f"{owner}: memory_mib on {machines}", memory_mib, _MEMORY_MIB, tokens=True)
    if disk is not None:
        raise IncompatibleArgumentsError(
            f"{owner}: ephemeral_storage_gib={validation.shown(disk)} is only for Fargate. With {machines}, tasks use"
            " the disk of their instance. Omit ephemeral_storage_gib="
        )
