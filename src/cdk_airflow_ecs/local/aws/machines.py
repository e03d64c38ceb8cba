"""Capacity providers other than Fargate. Their tasks run as processes on this machine, like all tasks."""

import inspect
from typing import Any

from moto.ecs.exceptions import InvalidParameterException
from moto.ecs.models import CapacityProvider, EC2ContainerServiceBackend

FARGATE = ("FARGATE", "FARGATE_SPOT")


def without_groups() -> None:
    """Support capacity providers without an Auto Scaling group, those of ECS Managed Instances."""
    prepare = CapacityProvider._prepare_asg_provider
    CapacityProvider._prepare_asg_provider = lambda self, group: None if group is None else prepare(self, group)


def without_instances() -> None:
    """Run tasks of such capacity providers although the cluster has no instances."""
    run_task = EC2ContainerServiceBackend.run_task
    signature = inspect.signature(run_task)

    def run(*args: Any, **kwargs: Any) -> list:
        call = signature.bind(*args, **kwargs)
        strategy = call.arguments.get("capacity_provider_strategy")
        name = strategy[0]["capacityProvider"] if strategy else None
        if name is None or name in FARGATE:
            return run_task(*args, **kwargs)
        if name not in call.arguments["self"].capacity_providers:
            raise InvalidParameterException("The specified capacity provider was not found.")
        if call.arguments.get("platform_version"):
            raise InvalidParameterException("The platform version must be null when specifying an EC2 launch type.")
        call.arguments.update(capacity_provider_strategy=None, launch_type="FARGATE")
        tasks = run_task(*call.args, **call.kwargs)
        for task in tasks:
            task.capacity_provider_name, task.launch_type = name, ""
        return tasks

    EC2ContainerServiceBackend.run_task = run
