"""The last step: alarms and dashboard of a finished cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.capacity.queue_scaling import QueueScaling, pool_name
from cdk_airflow_ecs.monitoring.alarms import plan_alarms
from cdk_airflow_ecs.monitoring.connections import most_connections
from cdk_airflow_ecs.monitoring.dashboard import dashboard_body
from cdk_airflow_ecs.monitoring.monitored import MonitoredCluster, MonitoredService
from cdk_airflow_ecs.monitoring.sources import watch_failed_starts, watch_migrations
from cdk_airflow_ecs.monitoring.topic import let_alarms_publish
from cdk_airflow_ecs.plan import Component
from cdk_airflow_ecs.stack_facts import StackFacts
from cdk_airflow_ecs.tokens import is_known_int

if TYPE_CHECKING:
    from cdk_airflow_ecs.migration.gate import Gate
    from cdk_airflow_ecs.monitoring.observed import ObservedCluster
    from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent
    from cdk_airflow_ecs.settings import Settings

_PATH: Final = "Monitoring"
_QUEUED_TIMEOUT: Final = "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"


def monitor(
    settings: Settings,
    rendered: Mapping[str, RenderedComponent],
    context: RenderContext,
    observed: ObservedCluster,
    gate: Gate,
) -> None:
    """Create alarms and dashboard, or extend them to components that were added."""
    if settings.monitoring is None:
        return
    from cdk_airflow_ecs.monitoring.resources import put_alarm, put_dashboard  # noqa: PLC0415 (loads aws_cloudwatch)

    topic = settings.alarm_topic
    if topic is not None:
        let_alarms_publish(topic, StackFacts(context.cluster).account)
    cluster = _monitored(settings, rendered, context, observed, gate)
    alarms = {}
    for alarm in plan_alarms(cluster):
        scope = context.scope("/".join(filter(None, (_PATH, alarm.path.rpartition("/")[0]))))
        alarms[alarm.path] = put_alarm(
            scope, alarm, topic_arn=None if topic is None else topic.topic_arn, quiet=settings.maintenance
        )
        if alarm.after:
            alarms[alarm.path].node.add_dependency(observed.services[alarm.after].resource)
    if settings.monitoring.dashboard:
        put_dashboard(context.scope(_PATH), dashboard_body(cluster, [each.attr_arn for each in alarms.values()]))


def _monitored(
    settings: Settings,
    rendered: Mapping[str, RenderedComponent],
    context: RenderContext,
    observed: ObservedCluster,
    gate: Gate,
) -> MonitoredCluster:
    certificate = settings.web.certificate
    logs = gate.function.log_group.log_group_name
    components = [part.component for part in rendered.values()]
    return MonitoredCluster(
        region=context.bindings["Stack"].text("region"),
        ecs_cluster=observed.ecs_cluster,
        services=tuple(
            MonitoredService(
                component=name,
                path=rendered[name].component.path,
                service=service.resource.service_name,
                minimum=_least_tasks(rendered[name].component),
                pool=pool_name(name) if isinstance(rendered[name].component.scaling, QueueScaling) else None,
            )
            for name, service in observed.services.items()
        ),
        web=observed.web,
        load_balancer=observed.load_balancer.load_balancer_full_name,
        target_group=observed.target_group.target_group_full_name,
        certificate=None if certificate is None else certificate.certificate_arn,
        database=context.bindings["Database"].metrics,
        connections=most_connections(components, major=settings.version.major),
        broker=context.bindings.get("Broker", Binding()).metrics,
        container_insights=settings.container_insights,
        queued_timeout_seconds=_queued_timeout(rendered["Scheduler"].component),
        gate_function=gate.function.function_name,
        gate_logs=logs,
        lost_calls=gate.lost.queue_name,
        failed_migrations=watch_migrations(context.scope(_PATH), logs, observed.ecs_cluster),
        failed_starts=watch_failed_starts(context.scope(f"{_PATH}/FailedStarts"), context.cluster),
        log_group=observed.log_group.log_group_name,
    )


def _least_tasks(component: Component) -> int | None:
    """Return the least number of a component's tasks, or None if it is unknown."""
    count = component.count if component.scaling is None else getattr(component.scaling, "min_count", None)
    return count if is_known_int(count) else None


def _queued_timeout(scheduler: Component) -> int:
    value = scheduler.containers[0].environment.get(_QUEUED_TIMEOUT)
    return int(value) if isinstance(value, str) and value.isdecimal() else 1800
