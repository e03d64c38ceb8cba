"""The output of services through Fluent Bit sidecar containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.logs.awslogs import AwsLogs
from cdk_airflow_ecs.logs.router import LogRouter
from cdk_airflow_ecs.plan import Permission, Ref
from cdk_airflow_ecs.secret_detection import refusal, secret_of
from cdk_airflow_ecs.tokens import is_secret

if TYPE_CHECKING:
    from cdk_airflow_ecs.logs.streams import LogStreams

# Not the moving tag "stable", which the image's README advises against ("Guidance on consuming versions"): in 2026 it
# was still a 2.x on Amazon Linux 2, which is out of support (aws/aws-for-fluent-bit#1181). 3.4.17 has Fluent Bit 5.0.9,
# which fixes crashes on Fargate (aws/aws-for-fluent-bit#1164).
_FLUENT_BIT: Final = "public.ecr.aws/aws-observability/aws-for-fluent-bit:3.4.17"
_ROUTER: Final = "log-router"


@dataclass(frozen=True, slots=True, kw_only=True)
class FireLens(LogRouter):
    """The output of services through Fluent Bit, to any of its outputs: Firehose, OpenSearch, Datadog, Loki, S3.

    Each task has a sidecar container of about 50 MiB. The output of the sidecar itself, of the migration, of tasks of
    ``add_ecs_task`` and of databases and brokers in containers remains in CloudWatch Logs. ``EcsExecutor`` is not
    supported, because it considers a task finished when any container ends.

    Args:
        options: output plugin and settings, as in a Fluent Bit ``[OUTPUT]`` section. Pass secrets as ``ecs.Secret``.
        permissions: permissions of the plugin, for the task roles of services.
        image: image of the sidecar. The default is AWS for Fluent Bit 3.4.17.
        memory_mib: memory reserved for the sidecar, part of the task's memory.

    Raises:
        ValueError: if *options* has no plugin, or a secret as text.

    Examples:
        >>> FireLens(
        ...     options={"Name": "firehose", "region": "eu-central-1", "delivery_stream": "airflow"},
        ...     permissions=[
        ...         Permission(
        ...             actions=("firehose:PutRecordBatch",),
        ...             resources=("arn:aws:firehose:eu-central-1:123456789012:deliverystream/airflow",),
        ...         )
        ...     ],
        ... ).has_sidecar
        True
    """

    options: Mapping[str, str | ecs.Secret]
    permissions: Sequence[Permission] = field(default_factory=tuple)
    image: ecs.ContainerImage | None = None
    memory_mib: int = 50

    def __post_init__(self) -> None:
        example = '{"Name": "cloudwatch_logs", "region": "eu-central-1", …}'
        if not isinstance(self.options, Mapping):
            raise ValueError(
                f"FireLens options must be a mapping such as {example}, got {validation.kind_of(self.options)}"
            )
        for name, value in self.options.items():
            if not isinstance(name, str):
                raise ValueError(f"FireLens options: names must be text, got {validation.shown(name)}")
            if not (isinstance(value, str) or is_secret(value)):
                known = name.partition("=")[0]
                raise ValueError(
                    f"FireLens options: {known} must be text or an ecs.Secret, got {validation.shown(value)}"
                )
            if why := secret_of(name, value):
                raise ValueError(refusal(f"FireLens options: {name}", why))
        # Fluent Bit's option names are case-insensitive.
        names = [name.lower() for name in self.options]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise IncompatibleArgumentsError(
                f"FireLens options: {repeated[0]} exists twice, because names are case-insensitive. Remove one"
            )
        plugins = [value for name, value in self.options.items() if name.lower() == "name"]
        if not all(isinstance(plugin, str) and plugin.strip() for plugin in plugins) or not plugins:
            raise ValueError(f"FireLens options must have the name of an output plugin, as in {example}")
        permissions = validation.items("FireLens permissions", self.permissions, "[Permission(…)]")
        for permission in permissions:
            validation.instance("FireLens permissions", permission, Permission, "Permission(actions=…, resources=…)")
            if refs := [r for r in permission.resources if isinstance(r, Ref)]:
                raise ValueError(f"FireLens permissions must have ARNs as text, got {refs[0]}")
        object.__setattr__(self, "permissions", permissions)
        if self.image is not None:
            validation.instance("FireLens image", self.image, ecs.ContainerImage, "ecs.ContainerImage.from_registry(…)")
        validation.integer("FireLens memory_mib", self.memory_mib, 6)

    @property
    def has_sidecar(self) -> bool:
        """See :attr:`LogRouter.has_sidecar`."""
        return True

    @property
    def in_ecr(self) -> bool:
        """See :attr:`LogRouter.in_ecr`."""
        return self.image is not None and not isinstance(self.image, ecs.RepositoryImage)

    @property
    def log_options(self) -> Mapping[str, str]:
        """See :attr:`LogRouter.log_options`."""
        return {name: value for name, value in self.options.items() if isinstance(value, str)}

    @property
    def secrets(self) -> Mapping[str, ecs.Secret]:
        """See :attr:`LogRouter.secrets`."""
        return {name: value for name, value in self.options.items() if not isinstance(value, str)}

    def with_secrets(self, secrets: Mapping[str, ecs.Secret]) -> FireLens:
        """See :meth:`LogRouter.with_secrets`."""
        return replace(self, options={**self.options, **secrets})

    def driver(self, streams: LogStreams) -> ecs.LogDriver:
        """See :meth:`LogRouter.driver`."""
        del streams
        return ecs.LogDrivers.firelens(options=dict(self.log_options), secret_options=dict(self.secrets) or None)

    def attach(self, definition: ecs.TaskDefinition, streams: LogStreams) -> None:
        """See :meth:`LogRouter.attach`."""
        definition.add_firelens_log_router(
            _ROUTER,
            container_name=_ROUTER,
            image=self.image or ecs.ContainerImage.from_registry(_FLUENT_BIT),
            firelens_config=ecs.FirelensConfig(
                type=ecs.FirelensLogRouterType.FLUENTBIT, options=ecs.FirelensOptions(enable_ecs_log_metadata=True)
            ),
            memory_reservation_mib=self.memory_mib,
            logging=AwsLogs().driver(streams),
        )
