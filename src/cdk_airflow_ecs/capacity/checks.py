"""Checks of the capacities of a cluster. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import Component

if TYPE_CHECKING:
    from cdk_airflow_ecs.network import Network


def check_capacities(components: Iterable[Component]) -> None:
    """Raise an error if machines of one capacity provider would be in two ECS clusters, or two have the same name."""
    users: dict[object, Component] = {}
    named: dict[object, Component] = {}
    for component in components:
        for share in component.capacity.strategy:
            first = named.setdefault(share.provider, component)
            if not isinstance(share.provider, str) and first.capacity != component.capacity:
                raise IncompatibleArgumentsError(
                    f"{first.name} and {component.name} have different {type(component.capacity).__name__} with the"
                    " same name. Pass name= to one of them"
                )
        for provider in component.capacity.providers:
            first = users.setdefault(provider, component)
            is_ec2 = component.capacity.compatibility == "EC2"
            if is_ec2 and first.ecs_cluster != component.ecs_cluster:
                raise IncompatibleArgumentsError(
                    f"{first.name} and {component.name} have the same capacity provider, but tasks of add_ecs_task run"
                    " in an ECS cluster of their own, and an instance belongs to one ECS cluster. Use two capacity"
                    " providers, or ManagedInstances"
                )


def check_addresses(components: Iterable[Component], network: Network | None) -> None:
    """Raise an error if tasks outside Fargate are in public subnets, where they have no public address.

    *network* is None if the cluster has not created its VPC yet.
    """
    others = [component for component in components if component.capacity.compatibility != "FARGATE"]
    if others and network is not None and network.assign_public_ip:
        raise IncompatibleArgumentsError(
            f"task_subnets= selects public subnets, but {others[0].name} does not run on Fargate, and only Fargate"
            ' tasks have public addresses there (Amazon ECS developer guide, "Task networking for EC2"), without'
            " which they cannot reach AWS APIs. Select private subnets with a NAT gateway, or omit capacity="
        )
