"""A third-party capacity, and an executor whose tasks run on it."""

from __future__ import annotations

from dataclasses import dataclass

from cdk_airflow_ecs import Capacity, Executor, ExecutorContext, ExecutorPlan, ProviderShare, Service, Workers
from cdk_airflow_ecs.airflow import Process
from cdk_airflow_ecs.capacity.base import Compatibility
from cdk_airflow_ecs.plan import Json, Ref
from cdk_airflow_ecs.run_task_permissions import may_run

TASK = "Tasks/training"


@dataclass(frozen=True, kw_only=True)
class Ec2Capacity(Capacity):
    """EC2 machines of an existing capacity provider.

    Args:
        provider: name of the capacity provider.
        largest_cpu: CPU units of one machine.
        managed: whether ECS selects and patches the machines (ECS Managed Instances).
    """

    provider: str
    largest_cpu: int = 16384
    managed: bool = False

    @property
    def compatibility(self) -> Compatibility:
        """Return the launch type of the task definitions."""
        return "MANAGED_INSTANCES" if self.managed else "EC2"

    @property
    def strategy(self) -> tuple[ProviderShare, ...]:
        """Return a capacity provider strategy with this provider, also for tasks on Spot."""
        return (ProviderShare(self.provider),)

    def check(self, owner: str, cpu: object, memory_mib: object, ephemeral_storage_gib: object = None) -> None:
        """Accept any size that fits a machine, and no ephemeral storage."""
        if not isinstance(cpu, int) or cpu > self.largest_cpu:
            raise ValueError(f"{owner}: cpu={cpu}; a machine of {self.provider} has {self.largest_cpu}")
        if ephemeral_storage_gib is not None:
            raise ValueError(f"{owner}: ephemeral_storage_gib= is only for Fargate. Leave it out")


@dataclass(frozen=True, kw_only=True)
class TrainingExecutor(Executor):
    """An executor that runs each Airflow task as an ECS task on the user's machines."""

    capacity: Capacity
    cpu: int = 3000

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """Plan one task definition, and configure the scheduler to start its tasks on the capacity."""
        needs = {"execution-api"} if context.version.major >= 3 else {"database", "fernet"}
        return ExecutorPlan(
            class_path="airflow.providers.amazon.aws.executors.ecs.ecs_executor.AwsEcsExecutor",
            loader_config={
                ("aws_ecs_executor", "conn_id"): "",
                ("aws_ecs_executor", "region_name"): Ref("Stack", "region"),
                ("aws_ecs_executor", "cluster"): Ref("Cluster", "name"),
                ("aws_ecs_executor", "container_name"): "train",
                ("aws_ecs_executor", "task_definition"): Ref(TASK, "task_definition_arn"),
                ("aws_ecs_executor", "subnets"): Ref("Network", "task_subnets"),
                ("aws_ecs_executor", "security_groups"): Ref(TASK, "security_group_id"),
                ("aws_ecs_executor", "run_task_kwargs"): Json(self.capacity.run_task()),
            },
            tasks=(
                Workers(
                    path=TASK,
                    process=Process(
                        name="train",
                        component=TASK,
                        command=("airflow", "version"),
                        needs=frozenset({"dags", "write-logs", *needs}),
                        runs_user_code=True,
                    ),
                    service=Service(cpu=self.cpu, memory_mib=5000),
                    capacity=self.capacity,
                ),
            ),
            permissions=may_run(TASK),
        )
