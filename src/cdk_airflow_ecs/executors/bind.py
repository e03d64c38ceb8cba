"""The call of :meth:`Executor.bind`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cdk_airflow_ecs.executors.base import Executor, ExecutorBindContext

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

    from cdk_airflow_ecs.render_context import RenderedComponent


def bind_executor(executor: Executor, rendered: Mapping[str, RenderedComponent], cluster: ecs.ICluster) -> None:
    """Call ``executor.bind`` with the rendered components."""
    executor.bind(
        ExecutorBindContext(
            cluster=cluster,
            task_roles={name: part.task_role for name, part in rendered.items()},
            execution_roles={name: part.execution_role for name, part in rendered.items()},
            connections={name: part.peer for name, part in rendered.items()},
        )
    )
