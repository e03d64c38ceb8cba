"""Checks of the subnets that the user chose, before anything is made."""

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
    """Refuse a place that the cluster cannot have, before anything is made.

    Args:
        vpc: the user's VPC; None for one of the cluster's own.
        subnets: the arguments that select subnets, by name.
        checks: what else must suit the network, such as the checks of the cluster's resources.
        internet_facing: whether the load balancer has public addresses.

    Raises:
        ValueError: saying which argument to change.
    """
    for name, selection in subnets.items():
        if selection is not None:
            _check_home(name, selection, vpc)
    network = None if vpc is None else choose_subnets(vpc, subnets, internet_facing=internet_facing)
    check_subnets(network, "task_subnets", "tasks")
    for check in checks:
        check(network)


def _check_home(name: str, selection: ec2.SubnetSelection, vpc: ec2.IVpc | None) -> None:
    """Refuse subnets that are in another VPC, if that is known."""
    if vpc is None:
        if selection.subnets:
            raise IncompatibleArgumentsError(
                f"{name}= names subnets, which a VPC of the cluster's own has not: pass vpc= too"
            )
        if selection.subnet_group_name not in (None, *OWN_GROUPS):
            raise IncompatibleArgumentsError(
                f"{name}= names the group {validation.shown(selection.subnet_group_name)}; a VPC of the cluster's"
                f" own has {', '.join(OWN_GROUPS)}: take one of them, or pass vpc="
            )
        return
    for subnet in selection.subnets or ():
        home = subnet.node.scope
        ids = {getattr(home, "vpc_id", vpc.vpc_id), vpc.vpc_id}
        made_here = isinstance(home, ec2.Vpc) and isinstance(vpc, ec2.Vpc)
        if len(ids) > 1 and (made_here or not any(map(is_token, ids))):
            raise IncompatibleArgumentsError(f"{name}= names {subnet.node.path}, which is in another VPC than vpc=")


def check_subnets(
    network: Network | None, argument: str, what: str, *, zones: int = 1, one_in_each: bool = False
) -> None:
    """Refuse subnets in which *what* cannot stand, as far as they are known before a deploy.

    Args:
        network: where the cluster will be; None for a VPC of its own, which has what is needed.
        argument: what chooses them, "task_subnets", "store_subnets" or "web_subnets".
        what: what stands in them, as the user calls it.
        zones: in how many zones they must be.
        one_in_each: whether a zone may have but one of them.
    """
    if network is None:
        return
    say = f"say {argument}=ec2.SubnetSelection(…)"
    try:
        chosen = network.select(getattr(network, argument))
    except RuntimeError as error:
        reason = re.sub(r"^\w+: ", "", str(error))  # without CDK's own name for it
        raise IncompatibleArgumentsError(f"vpc= has no subnets for {what}: {reason}; {say}") from None
    if chosen.is_pending_lookup:
        return
    if not chosen.subnets:
        raise IncompatibleArgumentsError(f"vpc= has no subnets for {what}: {argument}= selects none")
    found = [subnet.availability_zone for subnet in chosen.subnets]
    if any(map(is_list_token, (*chosen.subnet_ids, *found))):
        return
    if len({*found}) < zones:
        raise IncompatibleArgumentsError(
            f"{what} needs subnets in {zones} zones, and those of {argument}= are all in one; add another, or {say}"
        )
    if one_in_each and len({*found}) < len(found):
        raise IncompatibleArgumentsError(
            f"{what} takes one subnet in each zone, and {argument}= has more; say one_per_az=True in it"
        )
