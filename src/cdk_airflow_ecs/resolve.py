"""Conversion of the arguments of a cluster to settings, with defaults and checks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from aws_cdk import Stage
from aws_cdk.aws_ec2 import SubnetSelection

from cdk_airflow_ecs import compatibility, option_merging, options, validation
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.capacity.queue_metric import shared_queues
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.cluster_arguments import ClusterArguments
from cdk_airflow_ecs.commands.airflow_task import AirflowTask
from cdk_airflow_ecs.commands.database_cleanup import DatabaseCleanup
from cdk_airflow_ecs.dags.base import DagSource
from cdk_airflow_ecs.dags.s3 import S3Dags
from cdk_airflow_ecs.databases.base import Database
from cdk_airflow_ecs.databases.rds import RdsDatabase
from cdk_airflow_ecs.environment import read_config, split_environment
from cdk_airflow_ecs.executors.base import Executor
from cdk_airflow_ecs.executors.celery import CeleryExecutor
from cdk_airflow_ecs.images.airflow_image import AirflowImage
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.logs.awslogs import AwsLogs
from cdk_airflow_ecs.logs.base import LogStore
from cdk_airflow_ecs.logs.router import LogRouter
from cdk_airflow_ecs.logs.s3 import S3Logs
from cdk_airflow_ecs.monitoring.monitoring import Monitoring
from cdk_airflow_ecs.planning import conflicting_options
from cdk_airflow_ecs.settings import Settings
from cdk_airflow_ecs.web.web import Web

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

T = TypeVar("T")
# Not SNAPSHOT, which buckets do not support. None, the default, selects a policy for each kind of resource.
_REMOVAL_POLICIES: Final = ("DESTROY", "RETAIN")
_SERVICES: Final = {
    "ApiServer": "api_server",
    "Scheduler": "scheduler",
    "DagProcessor": "dag_processor",
    "Triggerer": "triggerer",
}


def resolve(arguments: ClusterArguments) -> Settings:
    """Return the settings, or raise ``ValueError`` for invalid or incompatible arguments."""
    version, advice = _version(arguments)
    secrets: dict[str, ecs.Secret] = {}
    settings = _complete(arguments, version, secrets)
    advice += _check_options(settings, secrets)
    executor = settings.executor_plan()
    images = settings.images()
    for name, image in images.items():
        source = image.source
        source.check(version, executor.image_files)
        advice += source.advice(version)
        found = options.check(source.options, version.line)
        named = [replace(each, message=f"{source.options_source}: {each.message}") for each in found]
        owner = "" if source.options == images["airflow"].source.options else f":{name}"
        advice += _advise(named, settings, owner)
        advice += compatibility.check_image(name, image, executor, version)
    advice += shared_queues(executor)
    advice += compatibility.check_ecs_tasks(settings, executor)
    compatibility.check_airflow_tasks(settings)
    compatibility.check_dags(images, arguments.dags)
    compatibility.check_buckets(settings.logs, settings.dags)
    compatibility.check_logs(settings, executor)
    compatibility.check_cpu_scaling(settings, executor)
    resources = settings.resources().values()
    advice += [each for resource in resources for each in resource.check_images(version, images)]
    advice += [each for resource in resources for each in resource.advice()]
    return replace(settings, advice=tuple(dict.fromkeys(advice)))


def _version(arguments: ClusterArguments) -> tuple[AirflowVersion, list[Advice]]:
    """Return the Airflow release and advice about it. Check the boolean arguments of the cluster."""
    advice: list[Advice] = []
    version = arguments.version
    if version is None:
        version = AirflowVersion.LATEST
        advice.append(
            Advice(
                "cdk-airflow-ecs:version-not-pinned",
                f"version= is not set, so the default Airflow {version} is used. Set version={version.constant}:"
                " otherwise an upgrade of this library may migrate your database",
            )
        )
    validation.instance("version=", version, AirflowVersion, "AirflowVersion.V3_3")
    AirflowVersion.of(str(version))  # checks the range, for objects that of() did not create
    if not version.is_verified:
        newest = AirflowVersion.LATEST
        advice.append(
            Advice(
                "cdk-airflow-ecs:unverified-release",
                f"This library is not tested with Airflow {version}. It assumes the processes, commands, ports and"
                f" option names of {newest.line}, and an official image with Python {version.python}. Take a snapshot"
                " of the database and deploy to a copy first",
            )
        )
    validation.flag("enable_exec=", arguments.enable_exec)
    validation.flag("container_insights=", arguments.container_insights)
    validation.flag("maintenance=", arguments.maintenance)
    validation.flag("snapshot_before_migration=", arguments.snapshot_before_migration)
    if arguments.monitoring is not None:
        validation.instance("monitoring=", arguments.monitoring, Monitoring, "Monitoring(alarm_topic=topic)")
    if arguments.maintenance:
        advice.append(
            Advice(
                "cdk-airflow-ecs:maintenance",
                "maintenance=True stops all tasks of services. Deploy without it to start Airflow again",
            )
        )
    return version, advice


def _complete(arguments: ClusterArguments, version: AirflowVersion, secrets: dict[str, ecs.Secret]) -> Settings:
    """Return the settings with defaults. Add the user's secrets to *secrets*."""
    services = {name: service for name, service in (arguments.services or {}).items() if service is not None}
    for name, service in services.items():
        if name not in _SERVICES:
            raise ValueError(f"services must be among {', '.join(_SERVICES)}, got {validation.shown(name)}")
        validation.instance(f"{_SERVICES[name]}=", service, Service, "Service(cpu=512, memory_mib=1024)")
    config = options.flatten({} if arguments.config is None else arguments.config)
    environment = {} if arguments.environment is None else arguments.environment
    variables, named = split_environment("environment=", environment, secrets)
    database = _default("database", arguments.database, Database, RdsDatabase)
    if arguments.snapshot_before_migration and not database.has_snapshots:
        raise IncompatibleArgumentsError(
            f"snapshot_before_migration=True is not compatible with database={type(database).__name__}(…), of which the"
            " cluster cannot take snapshots. Remove it, and take one yourself before an upgrade"
        )
    return Settings(
        version=version,
        image=_default("image", arguments.image, AirflowImage, AirflowImage),
        executor=_default("executor", arguments.executor, Executor, CeleryExecutor),
        database=database,
        dags=_default("dags", arguments.dags, DagSource, S3Dags),
        logs=_default("logs", arguments.logs, LogStore, S3Logs),
        log_router=_default("log_router", arguments.log_router, LogRouter, AwsLogs),
        web=_default("web", arguments.web, Web, Web),
        config=(("config=", read_config(config, secrets)), ("environment=", named)),
        environment=variables,
        services=services,
        ecs_tasks=arguments.ecs_tasks,
        airflow_tasks=(*_maintenance(arguments, version), *arguments.airflow_tasks),
        enable_exec=arguments.enable_exec,
        container_insights=bool(arguments.container_insights),
        maintenance=arguments.maintenance,
        snapshot_before_migration=database.has_snapshots and arguments.snapshot_before_migration is not False,
        monitoring=arguments.monitoring,
        given_secrets=secrets,
        advice=(),
    )


def _maintenance(arguments: ClusterArguments, version: AirflowVersion) -> list[AirflowTask]:
    example = "[DatabaseCleanup(keep_days=90)]"
    tasks = validation.items("maintenance_tasks=", arguments.maintenance_tasks, example)
    for task in tasks:
        validation.instance("maintenance_tasks=", task, DatabaseCleanup, example)
    return [task.airflow_task(version) for task in tasks]


def _check_options(settings: Settings, secrets: dict[str, ecs.Secret]) -> list[Advice]:
    executor = settings.executor_plan()
    found = [given for _, given in settings.config]
    for owner, service in (
        *settings.services.items(),
        *((workers.process.component, workers.service) for workers in (*executor.workers, *executor.tasks)),
        *((task.component, task.service) for task in settings.ecs_tasks),
        *((task.component, task.service) for task in settings.airflow_tasks),
    ):
        found.append(split_environment(owner, service.environment, secrets)[1])
    findings = [finding for given in found for finding in options.check(given, settings.version.line)]
    return _advise(findings, settings)


def _advise(findings: Sequence[options.Finding], settings: Settings, owner: str = "") -> list[Advice]:
    version = settings.version
    unknown = [finding for finding in findings if finding.id == "cdk-airflow-ecs:unknown-option"]
    if unknown and not version.is_verified:
        # The release may have added them.
        rest = _advise([finding for finding in findings if finding not in unknown], settings, owner)
        names = ", ".join(dict.fromkeys(option_merging.spell(finding.option) for finding in unknown))
        text = (
            f"Options that Airflow {AirflowVersion.LATEST.line} does not have are not checked for Airflow {version}:"
            f" {names}. Look them up in Airflow's configuration reference"
        )
        return [*rest, Advice(f"cdk-airflow-ecs:unchecked-options{owner}", text)]
    if wrong := [finding for finding in findings if finding.is_error]:
        messages = [*(finding.message for finding in wrong), *_conflicts_beside(wrong, settings)]
        raise ValueError(option_merging.together(messages))
    return [Advice(f"{finding.warning_id}{owner}", finding.message) for finding in findings]


def _conflicts_beside(wrong: Sequence[options.Finding], settings: Settings) -> list[str]:
    """Return the errors about options that are not in *wrong*, without values of those in *wrong*."""
    refused = {finding.option for finding in wrong}
    given = {option for _, chosen in settings.config for option in chosen}
    if refused <= given and not any(service.environment for service in settings.services.values()):
        config = tuple(
            (source, {option: value for option, value in chosen.items() if option not in refused})
            for source, chosen in settings.config
        )
        return [*conflicting_options(replace(settings, config=config)).values()]
    # A message about an option contains only values of this option; other messages may contain any value.
    now = {options.read_as(option, settings.version.line) for option in refused}
    found = conflicting_options(settings)
    return [message for option, message in found.items() if isinstance(option, tuple) and option not in now]


def check_constructs(
    scope: object,
    construct_id: object,
    *,
    subnets: Mapping[str, object],
    vpc: object,
    encryption_key: object,
    removal_policy: object,
) -> None:
    """Raise ``ValueError`` for arguments of the wrong type, which CDK would report later or not at all."""
    if isinstance(scope, Stage):
        raise ValueError('AirflowCluster must be in a stack: AirflowCluster(Stack(app, "Data"), "Airflow")')
    validation.construct("the scope of AirflowCluster", scope, "node", "a construct such as a Stack", required=True)
    validation.text("the id of AirflowCluster", construct_id, "Airflow", required=True)
    validation.construct("vpc=", vpc, "vpc_id", "an ec2.IVpc, such as ec2.Vpc.from_lookup(…)")
    validation.construct("encryption_key=", encryption_key, "key_arn", "a kms.IKey")
    for name, selection in subnets.items():
        if selection is not None:
            example = "ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)"
            validation.instance(f"{name}=", selection, SubnetSelection, example)
    if removal_policy is not None and getattr(removal_policy, "name", None) not in _REMOVAL_POLICIES:
        raise ValueError(
            f"removal_policy= must be RemovalPolicy.{' or RemovalPolicy.'.join(_REMOVAL_POLICIES)}, got"
            f" {validation.shown(removal_policy)}. Omit it to keep buckets and a final snapshot of databases"
        )


def _default(name: str, given: T | None, kind: type, default: type[T]) -> T:
    if given is None:
        return default()
    validation.instance(f"{name}=", given, kind, f"{default.__name__}()")
    return given
