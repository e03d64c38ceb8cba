"""The choice between ``spot=`` and ``capacity=``. Pure."""

from __future__ import annotations

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.base import Capacity
from cdk_airflow_ecs.capacity.fargate import Fargate
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError


def chosen_capacity(owner: str, spot: object, capacity: object) -> Capacity:
    """Return the capacity of *owner*, by default Fargate.

    Raises:
        ValueError: if one of the arguments is invalid, or both are set.
    """
    if not isinstance(spot, bool):
        raise ValueError(f"{owner}: spot must be True or False, got {validation.shown(spot)}")
    if capacity is None:
        return Fargate(spot=spot)
    validation.instance(f"{owner}: capacity", capacity, Capacity, 'Ec2Capacity(provider="gpu-machines")')
    if spot:
        raise IncompatibleArgumentsError(
            f"{owner}: spot=True means Fargate Spot, but capacity= selects other machines. Omit spot=, or pass"
            " capacity=Fargate(spot=True)"
        )
    assert isinstance(capacity, Capacity)
    return capacity
