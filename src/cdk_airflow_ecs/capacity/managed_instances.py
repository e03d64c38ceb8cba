"""ECS Managed Instances: EC2 instances that ECS selects, starts, patches and stops."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.capacity.base import Capacity, Compatibility, ProviderShare
from cdk_airflow_ecs.capacity.ec2 import GPUS, check_machine_size
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import CLUSTER, Ref

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2

    from cdk_airflow_ecs.capacity.machines import MachinesContext

# The API's pattern of an instance type, where * stands for any text (Amazon ECS API, InstanceRequirementsRequest).
_INSTANCE_TYPE: Final = r"[a-zA-Z0-9.*-]{1,30}"
# EC2's sizes of a gp3 volume in GiB.
_STORAGE_GIB: Final = (30, 16_384)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedInstances(Capacity):
    """ECS Managed Instances: ECS starts, patches and stops EC2 instances in the cluster's VPC, as tasks need them.

    The cluster creates the capacity provider, its roles and a security group without inbound rules. Tasks on one
    instance share it. ECS replaces each instance after at most 14 days, and stops its tasks then.

    Args:
        name: name and construct id. Pools with equal ``ManagedInstances`` share instances.
        gpu: GPUs of each task, all of NVIDIA.
        instance_types: the types that ECS may select, such as ["g6.*"]. The default is any that fits the tasks.
        requirements: replaces *instance_types* for other criteria.
        spot: use Spot Instances. AWS can stop them with two minutes' notice.
        storage_gib: disk of each instance, for images, logs and temporary files of all its tasks. ECS's default is 80.

    Raises:
        ValueError: if an argument is invalid.

    Examples:
        >>> ManagedInstances(name="gpu", gpu=1, instance_types=["g6.*"]).compatibility
        'MANAGED_INSTANCES'
    """

    name: str = "default"
    gpu: int = 0
    instance_types: Sequence[str] = ()
    requirements: ec2.InstanceRequirementsConfig | None = None
    spot: bool = False
    storage_gib: int | None = None
    _ecs_cluster: str = field(default=CLUSTER, init=False, repr=False)

    def __post_init__(self) -> None:
        validation.name("ManagedInstances name", self.name)
        what = f"ManagedInstances {self.name!r}"
        validation.integer(f"{what}: gpu", self.gpu, 0, GPUS)
        types = validation.items(f"{what}: instance_types", self.instance_types, '["g6.*"]')
        for each in types:
            if not isinstance(each, str) or not re.fullmatch(_INSTANCE_TYPE, each):
                raise ValueError(
                    f'{what}: instance_types must be types such as "g6.xlarge" or "g6.*", got {validation.shown(each)}'
                )
        object.__setattr__(self, "instance_types", types)
        accepted = "an ec2.InstanceRequirementsConfig"
        validation.construct(f"{what}: requirements", self.requirements, "v_cpu_count_min", accepted)
        if not isinstance(self.spot, bool):
            raise ValueError(f"{what}: spot must be True or False, got {validation.shown(self.spot)}")
        if self.storage_gib is not None:
            validation.integer(f"{what}: storage_gib", self.storage_gib, *_STORAGE_GIB)
        if self.requirements is None:
            return
        if types:
            raise IncompatibleArgumentsError(
                f"{what}: instance_types= and requirements= both select instances. Pass"
                " requirements=ec2.InstanceRequirementsConfig(allowed_instance_types=[…], …) instead"
            )
        if (self.requirements.accelerator_count_min or 0) < self.gpu:
            raise IncompatibleArgumentsError(
                f"{what}: gpu={self.gpu}, but requirements= also selects instances with fewer GPUs, on which the tasks"
                f" would not start. Set accelerator_count_min={self.gpu} in it"
            )

    @property
    def compatibility(self) -> Compatibility:
        """See :attr:`Capacity.compatibility`."""
        return "MANAGED_INSTANCES"

    @property
    def _path(self) -> str:
        return f"{'Capacity' if self._ecs_cluster == CLUSTER else 'TaskCapacity'}/{self.name}"

    @property
    def strategy(self) -> tuple[ProviderShare, ...]:
        """See :attr:`Capacity.strategy`."""
        return (ProviderShare(Ref(self._path, "name")),)

    def check(self, owner: str, cpu: object, memory_mib: object, ephemeral_storage_gib: object = None) -> None:
        """See :meth:`Capacity.check`."""
        check_machine_size(owner, type(self).__name__, cpu, memory_mib, ephemeral_storage_gib)

    def within(self, ecs_cluster: str) -> ManagedInstances:
        """See :meth:`Capacity.within`."""
        other = replace(self)
        object.__setattr__(other, "_ecs_cluster", ecs_cluster)
        return other

    def bind(self, context: MachinesContext) -> Mapping[str, Binding]:
        """See :meth:`Capacity.bind`."""
        # Loading these classes takes time that only clusters with this capacity should spend.
        from cdk_airflow_ecs.capacity.managed_provider import managed_provider  # noqa: PLC0415

        provider = managed_provider(
            context.scope(self._path),
            context,
            gpu=self.gpu,
            instance_types=self.instance_types,
            requirements=self.requirements,
            spot=self.spot,
            storage_gib=self.storage_gib,
        )
        return {
            self._path: Binding(attributes={"name": provider.capacity_provider_name}, dependencies=[provider]),
        }
