"""The context in which machines join an ECS cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_ecs as ecs
    from constructs import Construct


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinesContext:
    """Constructs for :meth:`Capacity.bind`.

    Args:
        scope: function that returns the construct at a path below the cluster, created if missing.
        cluster: the ECS cluster.
        vpc: the VPC of the tasks.
        subnets: the subnets of the tasks.
    """

    scope: Callable[[str], Construct]
    cluster: ecs.Cluster
    vpc: ec2.IVpc
    subnets: Sequence[ec2.ISubnet]
