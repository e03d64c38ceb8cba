"""Settings of one component's tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.fargate import check_ephemeral_storage
from cdk_airflow_ecs.capacity.scaling import Scaling
from cdk_airflow_ecs.capacity.task_size import TaskSize
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.process import HealthCheck

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Size, count and environment of one component. Omitted arguments keep the component's defaults.

    Args:
        cpu: CPU units of the task; 1024 is one vCPU.
        memory_mib: memory of the task in MiB.
        count: number of tasks. The default is 1.
        scaling: replaces *count*. Use ``ExternalScaling()`` for your own scaler.
        enable_exec: whether ``aws ecs execute-command`` can open a shell. The default is the cluster's.
        ephemeral_storage_gib: disk of each task, 21 to 200 GiB. The default is 20 GiB.
        environment: further environment variables: text or ``ecs.Secret``. Names such as AIRFLOW__SECTION__OPTION are
            checked like ``config=``.
        health_check: replaces the health check of the first container.

    Raises:
        ValueError: if a value is invalid for every task size.

    Examples:
        >>> Service(cpu=512, memory_mib=1024, count=2, ephemeral_storage_gib=50).count
        2
    """

    cpu: int | None = None
    memory_mib: int | None = None
    count: int | None = None
    scaling: Scaling | None = None
    enable_exec: bool | None = None
    ephemeral_storage_gib: int | None = None
    environment: Mapping[str, str | ecs.Secret] = field(default_factory=dict)
    health_check: HealthCheck | None = None

    def __post_init__(self) -> None:
        if self.count is not None:
            validation.integer("count", self.count, 0, tokens=True)
        if self.scaling is not None:
            validation.instance("scaling", self.scaling, Scaling, "ExternalScaling()")
            if self.count is not None:
                raise IncompatibleArgumentsError("count= and scaling= both set the number of tasks. Omit one of them")
        validation.flag("enable_exec", self.enable_exec)
        check_ephemeral_storage("Service", self.ephemeral_storage_gib)
        if self.health_check is not None:
            validation.instance("health_check", self.health_check, HealthCheck, 'HealthCheck(command=["true"])')

    def size(self, default: TaskSize) -> TaskSize:
        """Return the size of the component's tasks; *default* replaces missing values."""
        disk = self.ephemeral_storage_gib
        return TaskSize(
            cpu=default.cpu if self.cpu is None else self.cpu,
            memory_mib=default.memory_mib if self.memory_mib is None else self.memory_mib,
            ephemeral_storage_gib=default.ephemeral_storage_gib if disk is None else disk,
        )

    @classmethod
    def of(
        cls,
        size: TaskSize,
        *,
        environment: Mapping[str, str | ecs.Secret],
        count: int | None = None,
        scaling: Scaling | None = None,
        enable_exec: bool | None = None,
        health_check: HealthCheck | None = None,
    ) -> Service:
        """Return a service with tasks of *size*."""
        return cls(
            cpu=size.cpu,
            memory_mib=size.memory_mib,
            ephemeral_storage_gib=size.ephemeral_storage_gib,
            environment=environment,
            count=count,
            scaling=scaling,
            enable_exec=enable_exec,
            health_check=health_check,
        )
