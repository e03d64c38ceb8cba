"""Schedules and outputs of new ECS tasks that run one Airflow command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cdk_airflow_ecs.commands.handle import add_run_command

if TYPE_CHECKING:
    from constructs import IDependable

    from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent
    from cdk_airflow_ecs.settings import Settings


def attach_airflow_tasks(
    settings: Settings,
    added: Iterable[RenderedComponent],
    rendered: Mapping[str, RenderedComponent],
    context: RenderContext,
    gate: IDependable,
) -> None:
    """Create the schedules and outputs of the Airflow tasks among *added*."""
    new = {part.component.name for part in added}
    here = replace(context, rendered=rendered)
    for task in settings.airflow_tasks:
        if task.component in new:
            part = rendered[task.component]
            add_run_command(part, here)
            if task.schedule is not None:
                from cdk_airflow_ecs.commands.schedule import add_schedule  # noqa: PLC0415 (loads aws_scheduler)

                add_schedule(task, part, here, gate=gate, enabled=not settings.maintenance)
