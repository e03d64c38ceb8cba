"""Pools of Celery workers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
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
# The column task_instance.queue of Airflow's database.
_QUEUE_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class WorkerPool(TaskSize):
    """Celery workers of one size that serve one or more queues.

    Args:
        name: its name, also its construct id: renaming a pool replaces its service, and nothing that keeps data.
        cpu: CPU units of each worker; 1024 is one vCPU.
        memory_mib: memory of each worker in MiB.
        ephemeral_storage_gib: disk of each worker, 21 to 200 GiB. The default is Fargate's 20 GiB.
        queues: the Celery queues it serves. The default is one queue of the pool's name.
        concurrency: Airflow tasks that one worker runs at a time. The default is one per 512 MiB: measured, a worker
            with four empty tasks peaks at 430 MB (Airflow 3.3.2) to 520 MB (2.11.2), with sixteen at 1.1 to 1.25 GB.
        count: number of workers. The default is 1.
        scaling: decides the number of workers instead of *count*, as for :class:`Service`.
        enable_exec: whether ``aws ecs execute-command`` may open a shell in it. The default is the cluster's.
        environment: more environment variables, as for :class:`Service`.
        health_check: instead of the default, which connects to the worker's log server.
        spot: run them on Fargate Spot, for up to 70 % less. AWS may stop such a worker two minutes after a warning: it
            takes no more tasks, and those that do not end in time fail, so give your tasks retries.
        architecture: the processor of the workers, "x86_64" or "arm64", which is a fifth cheaper. The default is that
            of the image, which must exist for both if pools differ, as the official one does.
        image: what the workers run, with the cluster's Airflow release in it. The default is the cluster's image.

    Raises:
        ValueError: if a name or number is impossible.

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
    architecture: Architecture | None = None
    image: AirflowImage | None = None

    def __post_init__(self) -> None:
        validation.name("a worker pool's name", self.name)
        pool = f"pool {self.name!r}"
        queues = validation.items(f"{pool}: queues", self.queues, '["heavy"]') or (self.name,)
        for queue in queues:
            if not isinstance(queue, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", queue):
                raise ValueError(f"{pool}: {validation.shown(queue)} is no queue name; use letters, digits, _ . and -")
            if len(queue) > _QUEUE_LENGTH:
                raise ValueError(f"{pool}: a queue's name has {_QUEUE_LENGTH} characters at most, got {len(queue):,}")
        object.__setattr__(self, "queues", queues)
        self.check_size(pool)
        if self.concurrency is not None:
            validation.integer(f"{pool}: concurrency", self.concurrency, 1, tokens=True)
        elif is_token(self.memory_mib):
            raise IncompatibleArgumentsError(
                f"{pool}: memory_mib is only known at deploy time, so say concurrency= too"
            )
        if not isinstance(self.spot, bool):
            raise ValueError(f"{pool}: spot is True or False, got {validation.shown(self.spot)}")
        if self.architecture not in (None, "x86_64", "arm64"):
            raise ValueError(f'{pool}: architecture is "x86_64" or "arm64", got {validation.shown(self.architecture)}')
        if self.image is not None:
            validation.instance(f"{pool}: image", self.image, AirflowImage, 'AirflowImage.registry("…")')
        _ = self.service  # which checks the rest

    @property
    def service(self) -> Service:
        """Its workers as an ECS service."""
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
        """The Airflow tasks that one worker runs at a time."""
        return self.concurrency or max(1, self.memory_mib // MIB_PER_SLOT)
