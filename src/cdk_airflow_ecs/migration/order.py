"""The creation order around the migration gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cdk_airflow_ecs.migration.gate import awaited_by_gate, build_gate
from cdk_airflow_ecs.migration.snapshots import GateSnapshots

if TYPE_CHECKING:
    from constructs import IDependable

    from cdk_airflow_ecs.migration.gate import Gate
    from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent
    from cdk_airflow_ecs.settings import Settings


def gate_services(
    gate: Gate | None,
    settings: Settings,
    context: RenderContext,
    rendered: Mapping[str, RenderedComponent],
    added: Sequence[RenderedComponent],
) -> Gate:
    """Make the services among the new components *added* wait for the migration. Return its gate, created if None.

    The services of databases and brokers do not wait, because the migration needs them.
    """
    if gate is None:
        snapshots = GateSnapshots.of(settings, context)
        migration = rendered["Migration"]
        gate = build_gate(context.scope("Gate"), migration, context=context, key=context.key, snapshots=snapshots)
        gate.resource.node.add_dependency(*_bound_before(context))
    gate.drain(context.ecs_clusters)
    gate.resource.node.add_dependency(*awaited_by_gate(added, [*context.offers.values(), *context.machines]))
    for part in added:
        if part.service is not None and part.component.kind == "service":
            part.service.node.add_dependency(gate.resource, part.execution_role)
    return gate


def _bound_before(context: RenderContext) -> list[IDependable]:
    """Return what the migration depends on: stores, security group rules for them, and routes.

    CloudFormation deletes these after the gate, because tasks use them until the gate has stopped the tasks.
    """
    bound = {name: binding for name, binding in context.bindings.items() if name != "Web"}
    ends = [binding.connectable for binding in bound.values() if binding.connectable is not None]
    groups = [group for end in ends for group in end.connections.security_groups]
    return [*(dependency for binding in bound.values() for dependency in binding.dependencies), *groups]
