"""Checks of the user's subnets, before any construct is created."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from aws_cdk import aws_ec2 as ec2

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.network import OWN_GROUPS, choose_subnets
from cdk_airflow_ecs.tokens import is_list_token, is_token

if TYPE_CHECKING:
    from cdk_airflow_ecs.network import Network, Subnets


def check_network(
    vpc: ec2.IVpc | None,
    subnets: Subnets,
    checks: Iterable[Callable[[Network | None], None]],
    *,
    internet_facing: bool,
) -> None:
    """Check the network of a cluster.

    Args:
        vpc: the user's VPC; None for a VPC created by the cluster.
        subnets: the arguments that select subnets, by name.
        checks: further checks of the network.
        internet_facing: whether the load balancer has public addresses.

    Raises:
        ValueError: with the argument to change.
    """
    for name, selection in subnets.items():
        if selection is not None:
            _check_home(name, selection, vpc)
    network = None if vpc is None else choose_subnets(vpc, subnets, internet_facing=internet_facing)
    check_subnets(network, "task_subnets", "tasks")
    for check in checks:
        check(network)


def _check_home(name: str, selection: ec2.SubnetSelection, vpc: ec2.IVpc | None) -> None:
    if vpc is None:
        if selection.subnets:
            raise IncompatibleArgumentsError(f"{name}= selects subnets of an existing VPC. Pass this VPC as vpc=")
        if selection.subnet_group_name not in (None, *OWN_GROUPS):
            raise IncompatibleArgumentsError(
                f"{name}= must select one of the groups {', '.join(OWN_GROUPS)} of the VPC created by the cluster, got"
                f" {validation.shown(selection.subnet_group_name)}. Select one of them, or pass vpc="
            )
        return
    for subnet in selection.subnets or ():
        home = subnet.node.scope
        ids = {getattr(home, "vpc_id", vpc.vpc_id), vpc.vpc_id}
        made_here = isinstance(home, ec2.Vpc) and isinstance(vpc, ec2.Vpc)
        if len(ids) > 1 and (made_here or not any(map(is_token, ids))):
            raise IncompatibleArgumentsError(f"{name}= must select subnets in vpc=, got {subnet.node.path}")


def check_subnets(
    network: Network | None, argument: str, what: str, *, zones: int = 1, one_in_each: bool = False
) -> None:
    """Raise an error if the subnets are known and not suitable for *what*.

    Args:
        network: the network; None for a VPC created by the cluster.
        argument: "task_subnets", "store_subnets" or "web_subnets".
        what: the resource in the subnets.
        zones: the minimum number of zones.
        one_in_each: whether only one subnet per zone is allowed.
    """
    if network is None:
        return
    remedy = f"pass {argument}=ec2.SubnetSelection(…)"
    try:
        chosen = network.select(getattr(network, argument))
    except RuntimeError as error:
        reason = re.sub(r"^\w+: ", "", str(error))  # removes the name of CDK's error class
        raise IncompatibleArgumentsError(f"vpc= has no subnets for {what}: {reason}; {remedy}") from None
    if chosen.is_pending_lookup:
        return
    if not chosen.subnets:
        raise IncompatibleArgumentsError(f"vpc= has no subnets for {what}: {argument}= selects none")
    found = [subnet.availability_zone for subnet in chosen.subnets]
    if any(map(is_list_token, (*chosen.subnet_ids, *found))):
        return
    if len({*found}) < zones:
        raise IncompatibleArgumentsError(
            f"{what} needs subnets in {zones} zones, but {argument}= selects only one zone; add a subnet, or {remedy}"
        )
    if one_in_each and len({*found}) < len(found):
        raise IncompatibleArgumentsError(
            f"{what} accepts one subnet per zone, but {argument}= selects more; set one_per_az=True in it"
        )
