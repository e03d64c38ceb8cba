"""What the user said, with every default filled in and every contradiction refused. Pure: no construct is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from aws_cdk import Stage
from aws_cdk.aws_ec2 import SubnetSelection

from cdk_airflow_ecs import compatibility, options, validation
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.dags.base import DagSource
from cdk_airflow_ecs.dags.image import ImageDags
from cdk_airflow_ecs.dags.s3 import S3Dags
from cdk_airflow_ecs.databases.base import Database
from cdk_airflow_ecs.databases.rds import RdsDatabase
from cdk_airflow_ecs.ecs_task import EcsTask
from cdk_airflow_ecs.environment import read_config, split_environment
from cdk_airflow_ecs.executors.base import SCHEDULER_WITH_TASKS_MIB, Executor, ExecutorContext, ExecutorPlan
from cdk_airflow_ecs.executors.celery import CeleryExecutor
from cdk_airflow_ecs.images.airflow_image import AirflowImage
from cdk_airflow_ecs.logs.awslogs import AwsLogs
from cdk_airflow_ecs.logs.base import LogStore
from cdk_airflow_ecs.logs.router import LogRouter
from cdk_airflow_ecs.logs.s3 import S3Logs
from cdk_airflow_ecs.plan import Option, Value
from cdk_airflow_ecs.web.web import Web

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

    from cdk_airflow_ecs.cluster_resource import ClusterResource

_DEFAULT_QUEUE: Final = ("operators", "default_queue")
# A bucket takes no snapshot; None does what suits each kind.
_REMOVAL_POLICIES: Final = ("DESTROY", "RETAIN")
_SERVICES: Final = {
    "ApiServer": "api_server",
    "Scheduler": "scheduler",
    "DagProcessor": "dag_processor",
    "Triggerer": "triggerer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A cluster's arguments, complete and checked.

    Args:
        config: what the user says of Airflow's options, by the argument that says it.
    """

    version: AirflowVersion
    image: AirflowImage
    executor: Executor
    database: Database
    dags: DagSource
    logs: LogStore
    log_router: LogRouter
    web: Web
    config: tuple[tuple[str, Mapping[Option, Value]], ...]
    environment: Mapping[str, Value]
    services: Mapping[str, Service]
    ecs_tasks: tuple[EcsTask, ...]
    enable_exec: bool | None
    maintenance: bool
    given_secrets: Mapping[str, ecs.Secret] = field(compare=False)
    advice: tuple[Advice, ...]

    @property
    def default_queue(self) -> Value:
        """Where Airflow sends a task that names no queue."""
        line = self.version.line
        said = [item for _, given in (*self.config, ("image=", self.image.source.options)) for item in given.items()]
        return next((value for name, value in said if options.read_as(name, line) == _DEFAULT_QUEUE), "default")

    def executor_plan(self) -> ExecutorPlan:
        """What the executor adds to this cluster."""
        memory = self.services.get("Scheduler", Service()).memory_mib
        context = ExecutorContext(
            version=self.version,
            default_queue=self.default_queue,
            scheduler_memory_mib=SCHEDULER_WITH_TASKS_MIB if memory is None else memory,
        )
        return self.executor.plan(context)

    def resources(self) -> dict[str, ClusterResource]:
        """Everything that is bound, by the names that refs use, each part after what it belongs to."""
        own: dict[str, ClusterResource] = {
            "Database": self.database,
            "Dags": self.dags,
            "Logs": self.logs,
            "Web": self.web,
            **self.executor_plan().stores,
        }
        return own | {name: part for resource in own.values() for name, part in resource.parts().items()}


def resolve(
    *,
    version: AirflowVersion | None = None,
    executor: Executor | None = None,
    database: Database | None = None,
    dags: DagSource | None = None,
    image: AirflowImage | None = None,
    logs: LogStore | None = None,
    log_router: LogRouter | None = None,
    web: Web | None = None,
    config: Mapping[str, Mapping[str, object]] | None = None,
    environment: Mapping[str, str | ecs.Secret] | None = None,
    services: Mapping[str, Service | None] | None = None,
    ecs_tasks: tuple[EcsTask, ...] = (),
    enable_exec: bool | None = None,
    maintenance: bool = False,
) -> Settings:
    """Fill in defaults and check everything that does not need CDK.

    Raises:
        ValueError: in the user's words, for anything that cannot work.
    """
    advice: list[Advice] = []
    if version is None:
        version = AirflowVersion.LATEST
        advice.append(
            Advice(
                "cdk-airflow-ecs:version-not-pinned",
                f"Airflow {version} was chosen for you; say version={version.constant}, so that an upgrade of this"
                " library does not migrate your database by surprise",
            )
        )
    validation.instance("version=", version, AirflowVersion, "AirflowVersion.V3_3")
    AirflowVersion.of(str(version))  # refuses one that was made by hand and is out of range
    validation.flag("enable_exec=", enable_exec)
    validation.flag("maintenance=", maintenance)
    if maintenance:
        advice.append(
            Advice(
                "cdk-airflow-ecs:maintenance",
                "maintenance=True keeps every service at zero tasks; deploy without it to start Airflow again",
            )
        )
    secrets: dict[str, ecs.Secret] = {}
    config = {} if config is None else config
    advice += _advise(options.check(config, version.line))
    given = read_config(config, secrets)
    given_environment, options_by_name = split_environment(
        "environment=", {} if environment is None else environment, secrets
    )
    advice += _advise(options.check(_by_section(options_by_name), version.line))
    settings = Settings(
        version=version,
        image=_default("image", image, AirflowImage, AirflowImage),
        executor=_default("executor", executor, Executor, CeleryExecutor),
        database=_default("database", database, Database, RdsDatabase),
        dags=_default("dags", dags, DagSource, S3Dags),
        logs=_default("logs", logs, LogStore, S3Logs),
        log_router=_default("log_router", log_router, LogRouter, AwsLogs),
        web=_default("web", web, Web, Web),
        config=(("config=", given), ("environment=", options_by_name)),
        environment=given_environment,
        services={name: service for name, service in (services or {}).items() if service is not None},
        ecs_tasks=ecs_tasks,
        enable_exec=enable_exec,
        maintenance=maintenance,
        given_secrets=secrets,
        advice=(),
    )
    for name, service in settings.services.items():
        if name not in _SERVICES:
            raise ValueError(f"there is no service {name!r} to size; there are {', '.join(_SERVICES)}")
        validation.instance(f"{_SERVICES[name]}=", service, Service, "Service(cpu=512, memory_mib=1024)")
        advice += _check_variables(name, service, version, secrets)
    executor_plan = settings.executor_plan()
    for workers in (*executor_plan.workers, *executor_plan.tasks):
        advice += _check_variables(workers.process.component, workers.service, version, secrets)
    for task in ecs_tasks:
        advice += _check_variables(task.component, task.service, version, secrets)
    images = images_of(settings, executor_plan)
    for name, own in images.items():
        source = own.source
        source.check(version, executor_plan.image_files)
        found = options.check(_by_section(source.options), version.line)
        advice += _advise(
            [replace(finding, message=f"{source.options_source}: {finding.message}") for finding in found]
        )
        advice += compatibility.check_image(name, own, executor_plan)
    compatibility.check_ecs_tasks(settings, executor_plan)
    compatibility.check_dags(images, dags)
    compatibility.check_buckets(settings.logs, settings.dags)
    compatibility.check_logs(settings, executor_plan)
    advice += compatibility.check_cloudwatch(settings, images)
    advice += [each for resource in settings.resources().values() for each in resource.advice()]
    return replace(settings, advice=tuple(dict.fromkeys(advice)))


def images_of(settings: Settings, executor: ExecutorPlan) -> dict[str, AirflowImage]:
    """The images that run Airflow, by the names that components know them by.

    Raises:
        ValueError: if DAGs come from the image, and one has none.
    """
    folder = settings.dags.folder if isinstance(settings.dags, ImageDags) else None
    images = {"airflow": settings.image, **{w.process.component: w.image for w in (*executor.workers, *executor.tasks)}}
    return {name: image.with_dags(folder) for name, image in images.items() if image is not None}


def _check_variables(
    owner: str, service: Service, version: AirflowVersion, secrets: dict[str, ecs.Secret]
) -> list[Advice]:
    _, found = split_environment(owner, service.environment, secrets)
    return _advise(options.check(_by_section(found), version.line))


def _advise(findings: Sequence[options.Finding]) -> list[Advice]:
    for finding in findings:
        if finding.is_error:
            raise ValueError(finding.message)
    return [Advice(finding.id, finding.message) for finding in findings]


def check_constructs(
    scope: object,
    construct_id: object,
    *,
    subnets: Mapping[str, object],
    vpc: object,
    encryption_key: object,
    removal_policy: object,
) -> None:
    """Refuse arguments of the wrong type: CDK would complain about them far from here, or not at all.

    Raises:
        ValueError: naming the argument, what it got and what it takes.
    """
    if isinstance(scope, Stage):
        raise ValueError('an AirflowCluster belongs into a stack: AirflowCluster(Stack(app, "Data"), "Airflow")')
    validation.construct("AirflowCluster", scope, "node", "a scope, such as a Stack, first", required=True)
    validation.text("the id of an AirflowCluster", construct_id, "Airflow", required=True)
    validation.construct("vpc=", vpc, "vpc_id", "an ec2.IVpc, such as ec2.Vpc.from_lookup(…)")
    validation.construct("encryption_key=", encryption_key, "key_arn", "a kms.IKey")
    for name, selection in subnets.items():
        if selection is not None:
            example = "ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)"
            validation.instance(f"{name}=", selection, SubnetSelection, example)
    if removal_policy is not None and getattr(removal_policy, "name", None) not in _REMOVAL_POLICIES:
        raise ValueError(
            f"removal_policy= takes RemovalPolicy.{' or RemovalPolicy.'.join(_REMOVAL_POLICIES)}; got"
            f" {validation.shown(removal_policy)}. Leave it out to keep buckets and take a last snapshot of databases"
        )


def merged(default: Service, given: Service | None) -> Service:
    """Lay *given* over *default*."""
    if given is None:
        return default
    values = {
        item.name: getattr(default, item.name) if getattr(given, item.name) in (None, {}) else getattr(given, item.name)
        for item in fields(Service)
    }
    return Service(**values)


def _by_section(found: Mapping[Option, Value]) -> dict[str, dict[str, object]]:
    sections: dict[str, dict[str, object]] = {}
    for (section, name), value in found.items():
        sections.setdefault(section, {})[name] = value
    return sections


def _default(name: str, given: Any, kind: type, default: type) -> Any:
    if given is None:
        return default()
    validation.instance(f"{name}=", given, kind, f"{default.__name__}()")
    return given
