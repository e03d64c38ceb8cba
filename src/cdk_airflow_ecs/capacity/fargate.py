"""AWS Fargate and its task sizes. Pure.

Source: Amazon ECS developer guide, "Task CPU and memory" (fargate-tasks-services).
"""

from __future__ import annotations

from dataclasses import dataclass

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.base import Capacity, Compatibility, ProviderShare
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.tokens import is_known_int, is_number_token

_GIB = 1024
MEMORY_MIB_BY_CPU: dict[int, tuple[int, ...]] = {
    256: (512, 1 * _GIB, 2 * _GIB),
    512: tuple(range(1 * _GIB, 4 * _GIB + 1, _GIB)),
    1024: tuple(range(2 * _GIB, 8 * _GIB + 1, _GIB)),
    2048: tuple(range(4 * _GIB, 16 * _GIB + 1, _GIB)),
    4096: tuple(range(8 * _GIB, 30 * _GIB + 1, _GIB)),
    8192: tuple(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16384: tuple(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fargate(Capacity):
    """AWS Fargate, where each task has its own machine.

    Args:
        spot: use Fargate Spot, for up to 70 % less. AWS can stop tasks with two minutes' notice.

    Raises:
        ValueError: if *spot* is not a boolean.

    Examples:
        >>> Fargate(spot=True).run_task()
        {'capacity_provider_strategy': [{'capacityProvider': 'FARGATE_SPOT', 'weight': 1}]}
        >>> Fargate().run_task()
        {'launch_type': 'FARGATE'}
    """

    spot: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.spot, bool):
            raise ValueError(f"Fargate spot must be True or False, got {validation.shown(self.spot)}")

    @property
    def compatibility(self) -> Compatibility:
        """See :attr:`Capacity.compatibility`."""
        return "FARGATE"

    @property
    def strategy(self) -> tuple[ProviderShare, ...]:
        """See :attr:`Capacity.strategy`."""
        return (ProviderShare("FARGATE_SPOT"),) if self.spot else ()

    def check(self, owner: str, cpu: object, memory_mib: object, ephemeral_storage_gib: object = None) -> None:
        """See :meth:`Capacity.check`."""
        check_size(owner, cpu, memory_mib)
        check_ephemeral_storage(owner, ephemeral_storage_gib)


def check_size(owner: str, cpu: object, memory_mib: object) -> None:
    """Raise ValueError, with the accepted values, if Fargate does not offer a combination. Accept tokens."""
    if is_number_token(cpu):
        validation.integer(f"{owner}: memory_mib", memory_mib, 512, tokens=True)
        return
    if not is_known_int(cpu) or cpu not in MEMORY_MIB_BY_CPU:
        accepted = ", ".join(str(size) for size in MEMORY_MIB_BY_CPU)
        raise ValueError(
            f"{owner}: cpu={validation.shown(cpu)} is not a Fargate size; accepted (1024 is one vCPU): {accepted}"
        )
    sizes = MEMORY_MIB_BY_CPU[cpu]
    if not is_number_token(memory_mib) and (not is_known_int(memory_mib) or memory_mib not in sizes):
        raise IncompatibleArgumentsError(
            f"{owner}: memory_mib={validation.shown(memory_mib)} is not compatible with cpu={cpu};"
            f" Fargate accepts {_span(sizes)}"
        )


def check_ephemeral_storage(owner: str, gib: object) -> None:
    """Raise ValueError, with the accepted range, if Fargate does not offer a disk size. Accept tokens."""
    if gib is None or is_number_token(gib):
        return
    if not is_known_int(gib) or not 21 <= gib <= 200:
        raise ValueError(
            f"{owner}: ephemeral_storage_gib={validation.shown(gib)}; Fargate accepts 21 to 200, or omit it for"
            " the default of 20 GiB"
        )


def _span(sizes: tuple[int, ...]) -> str:
    if len(sizes) <= 4:
        return ", ".join(str(size) for size in sizes)
    return f"{sizes[0]} to {sizes[-1]} in steps of {sizes[1] - sizes[0]}"
