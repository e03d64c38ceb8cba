"""The ECS executor for tasks outside Fargate. Images have this file as ``airflow_ecs_executor.py``."""

from __future__ import annotations

from typing import Any

from airflow.providers.amazon.aws.executors.ecs import ecs_executor  # type: ignore[import-not-found]


class EcsExecutorOnInstances(ecs_executor.AwsEcsExecutor):  # type: ignore[misc, no-any-unimported]
    """AwsEcsExecutor without a platform version in its RunTask calls.

    The provider always sends one, by default "LATEST", unless the launch type is EC2. ECS accepts it only for Fargate.
    """

    def _load_run_kwargs(self) -> dict[str, Any]:
        arguments: dict[str, Any] = super()._load_run_kwargs()
        arguments.pop("platformVersion", None)
        return arguments
