"""Pools of Celery workers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.base import Capacity
from cdk_airflow_ecs.capacity.choice import chosen_capacity
from cdk_airflow_ecs.capacity.scaling import Scaling
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.capacity.task_size import TaskSize
from cdk_airflow_ecs.images.airflow_image import AirflowImage
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import Architecture
from cdk_airflow_ecs.process import HealthCheck
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

MIB_PER_SLOT: Final = 512
# Length of the column task_instance.queue in Airflow's database.
_QUEUE_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class WorkerPool(TaskSize):
    """Celery workers of one size that serve one or more queues.

    Args:
        name: name and construct id. Renaming a pool replaces its service but loses no data.
        cpu: CPU units of each worker; 1024 is one vCPU.
        memory_mib: memory of each worker in MiB.
        ephemeral_storage_gib: disk of each worker, 21 to 200 GiB. The default is 20 GiB.
        queues: its Celery queues. The default is one with the pool's name.
        concurrency: concurrent Airflow tasks per worker. The default is one per 512 MiB: workers with 4 empty tasks
            peaked at 430 MB (Airflow 3.3.2) to 520 MB (2.11.2), with 16 at 1.1 to 1.25 GB.
        count: number of workers. The default is 1.
        scaling: replaces *count*; see :class:`Service`.
        enable_exec: whether ``aws ecs execute-command`` can open a shell. The default is the cluster's.
        environment: further environment variables; see :class:`Service`.
        health_check: replaces the default, a connection to the worker's log server.
        spot: use Fargate Spot, up to 70 % cheaper. AWS can stop workers with two minutes' notice; unfinished tasks then
            fail, so set retries.
        capacity: other machines than Fargate, such as ``Ec2Capacity(provider="gpu-machines", gpu=1)``.
        architecture: "x86_64", or "arm64", a fifth cheaper. The default is the image's. If pools have different
            architectures, the image must exist for both, like the official image.
        image: an image with the cluster's Airflow release. The default is the cluster's.

    Raises:
        ValueError: if a name or number is invalid.

    Examples:
        >>> WorkerPool("heavy", cpu=4096, memory_mib=16384).queues
        ('heavy',)
    """

    name: str
    _: KW_ONLY
    queues: Sequence[str] = ()
    concurrency: int | None = None
    count: int | None = None
    scaling: Scaling | None = None
    enable_exec: bool | None = None
    environment: Mapping[str, str | ecs.Secret] = field(default_factory=dict)
    health_check: HealthCheck | None = None
    spot: bool = False
    capacity: Capacity | None = None
    architecture: Architecture | None = None
    image: AirflowImage | None = None

    def __post_init__(self) -> None:
        validation.name("a worker pool's name", self.name)
        pool = f"pool {self.name!r}"
        queues = validation.items(f"{pool}: queues", self.queues, '["heavy"]') or (self.name,)
        for queue in queues:
            if not isinstance(queue, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", queue):
                raise ValueError(
                    f"{pool}: {validation.shown(queue)} is not a queue name; use letters, digits, _ . and -"
                )
            if len(queue) > _QUEUE_LENGTH:
                raise ValueError(f"{pool}: a queue name has at most {_QUEUE_LENGTH} characters, got {len(queue):,}")
        object.__setattr__(self, "queues", queues)
        self.check_size(pool, self.machines)
        if self.concurrency is not None:
            validation.integer(f"{pool}: concurrency", self.concurrency, 1, tokens=True)
        elif is_token(self.memory_mib):
            raise IncompatibleArgumentsError(f"{pool}: memory_mib is known only at deploy time. Pass concurrency= too")
        if self.architecture not in (None, "x86_64", "arm64"):
            raise ValueError(
                f'{pool}: architecture must be "x86_64" or "arm64", got {validation.shown(self.architecture)}'
            )
        if self.image is not None:
            validation.instance(f"{pool}: image", self.image, AirflowImage, 'AirflowImage.registry("…")')
        _ = self.service  # creating the Service validates the other arguments

    @property
    def machines(self) -> Capacity:
        """The capacity of the pool's workers."""
        return chosen_capacity(f"pool {self.name!r}", self.spot, self.capacity)

    @property
    def service(self) -> Service:
        """The settings of the pool's ECS service."""
        return Service.of(
            self,
            count=self.count,
            scaling=self.scaling,
            enable_exec=self.enable_exec,
            environment=self.environment,
            health_check=self.health_check,
        )

    @property
    def slots(self) -> int:
        """The number of concurrent Airflow tasks per worker."""
        return self.concurrency or max(1, self.memory_mib // MIB_PER_SLOT)
