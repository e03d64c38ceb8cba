"""Pools of Celery workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

from cdk_airflow_ecs.airflow import HealthCheck

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """Celery workers of one size that serve one or more queues.

    Args:
        name: its name, also its construct id: renaming a pool replaces its service, and nothing that keeps data.
        queues: the Celery queues it serves. The default is one queue of the pool's name.
        cpu: CPU units of each worker; 1024 is one vCPU.
        memory_mib: memory of each worker in MiB.
        concurrency: Airflow tasks that one worker runs at a time. The default is one per 512 MiB: measured, a worker
            with four empty tasks peaks at 430 MB (Airflow 3.3.2) to 520 MB (2.11.2), with sixteen at 1.1 to 1.25 GB.
        count: number of workers.
        enable_exec: whether ``aws ecs execute-command`` may open a shell in it. The default is the cluster's.
        ephemeral_storage_gib: disk of each worker, 21 to 200 GiB. The default is Fargate's 20 GiB.
        environment: more environment variables, as for :class:`Service`.
        health_check: instead of the default, which connects to the worker's log server.

    Example:
        >>> WorkerPool("heavy", cpu=4096, memory_mib=16384).queues
        ('heavy',)
    """

    name: str
    _: KW_ONLY
    queues: Sequence[str] = ()
    cpu: int = 1024
    memory_mib: int = 2048
    concurrency: int | None = None
    count: int = 1
    enable_exec: bool | None = None
    ephemeral_storage_gib: int | None = None
    environment: Mapping[str, str | ecs.Secret] = field(default_factory=dict)
    health_check: HealthCheck | None = None
