"""Creation of the description of a finished cluster, and of its scaling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from cdk_airflow_ecs.monitoring.observed import ObservedCluster, ObservedService
from cdk_airflow_ecs.plan import CLUSTER

if TYPE_CHECKING:
    from aws_cdk import aws_elasticloadbalancingv2 as elb

    from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent


def observe(
    rendered: Mapping[str, RenderedComponent],
    context: RenderContext,
    *,
    targets: elb.ApplicationTargetGroup,
    internal: bool,
) -> ObservedCluster:
    """Return the description of a finished cluster. Creates no resources."""
    services = {
        name: ObservedService(
            name=name,
            resource=part.service,
            containers=tuple(container.name for container in part.component.containers),
            keeps_data=part.component.is_store,
            enable_exec=part.component.enable_exec,
        )
        for name, part in rendered.items()
        if part.service is not None
    }
    return ObservedCluster(
        ecs_cluster=context.bindings[CLUSTER].text("name"),
        services=services,
        web=next(part.component.name for part in rendered.values() if part.component.serves_web),
        load_balancer=cast("elb.ApplicationLoadBalancer", context.bindings["Web"].connectable),
        target_group=targets,
        internal=internal,
        resources=context.bindings,
        log_group=context.log_group,
    )


def attach_scaling(added: Iterable[RenderedComponent], cluster: ObservedCluster, *, maintenance: bool) -> None:
    """Create the scaling of each component among *added*, or what remains of it during maintenance."""
    for part in added:
        component = part.component
        if component.scaling is not None:
            act = component.scaling.pause if maintenance else component.scaling.attach
            act(cluster.services[component.name], cluster)
