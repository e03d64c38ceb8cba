"""The ECS cluster and its capacity providers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.nag import acknowledge

if TYPE_CHECKING:
    from aws_cdk import aws_logs as logs
    from constructs import Construct, IDependable

    from cdk_airflow_ecs.network import Network
    from cdk_airflow_ecs.stack_facts import StackFacts

# The capacity providers of AWS, available in every account.
_FARGATE: Final = ("FARGATE", "FARGATE_SPOT")


class _Cluster(ecs.Cluster):
    """An ECS cluster whose association of capacity providers CDK does not create if :class:`EcsCluster` did."""

    associated = False

    @property
    def capacity_provider_names(self) -> list[str]:
        """The capacity providers that CDK associates at the end of synthesis."""
        return [] if self.associated else list(super().capacity_provider_names)


class EcsCluster:
    """An ECS cluster to which capacity providers can be added later."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        stack: StackFacts,
        *,
        network: Network,
        log_group: logs.ILogGroup,
        insights: bool,
    ) -> None:
        """Create the cluster; *log_group* receives ECS Exec sessions."""
        self.resource = _Cluster(
            scope,
            construct_id,
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED if insights else ecs.ContainerInsights.DISABLED,
            # Only the log of sessions: ECS Exec itself is enabled for each service.
            execute_command_configuration=ecs.ExecuteCommandConfiguration(
                logging=ecs.ExecuteCommandLogging.OVERRIDE,
                log_configuration=ecs.ExecuteCommandLogConfiguration(cloud_watch_log_group=log_group),
            ),
        )
        if not insights:
            acknowledge(self.resource, "AwsSolutions-ECS4", "Each metric costs $0.30 a month; the user disabled them")
        self._stack = stack
        self.name = self.resource.cluster_name
        self._association: ecs.CfnClusterCapacityProviderAssociations | None = None
        self._wanted: tuple[str, ...] = ()

    def binding(self) -> Binding:
        """Return the cluster's attributes, to which plans may refer."""
        stack = self._stack.stack
        return Binding(
            attributes={
                "arn": self.resource.cluster_arn,
                "name": self.name,
                "services_arn": stack.format_arn(service="ecs", resource="service", resource_name=f"{self.name}/*"),
                "tasks_arn": stack.format_arn(service="ecs", resource="task", resource_name=f"{self.name}/*"),
                "instances_arn": stack.format_arn(
                    service="ecs", resource="container-instance", resource_name=f"{self.name}/*"
                ),
            }
        )

    def offer(self, providers: Iterable[str]) -> IDependable | None:
        """Add capacity providers, and return the association that tasks depend on.

        Return None if there are no capacity providers, because tasks then use a launch type.
        """
        wanted = (*self._wanted, *(name for name in providers if name not in self._wanted))
        if wanted and wanted != self._wanted:
            self._wanted = wanted
            offered = [*_FARGATE, *sorted({*wanted} - {*_FARGATE})]
            if self._association is None:
                # CDK's Cluster would create the association only at the end of synthesis, too late for constructs to
                # depend on it.
                self.resource.associated = True
                self._association = ecs.CfnClusterCapacityProviderAssociations(
                    self.resource,
                    self.resource.node.id,
                    cluster=self.name,
                    capacity_providers=offered,
                    default_capacity_provider_strategy=[],
                )
            else:
                self._association.capacity_providers = offered
        return self._association
