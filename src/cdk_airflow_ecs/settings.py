"""What the user said, with every default filled in and every contradiction refused. Pure: no construct is made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final

from aws_cdk import Stage
from aws_cdk.aws_ec2 import SubnetSelection

from cdk_airflow_ecs import arguments
from cdk_airflow_ecs import config as options
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.dags.base import DagSource
from cdk_airflow_ecs.dags.image import ImageDags
from cdk_airflow_ecs.dags.s3 import S3Dags
from cdk_airflow_ecs.databases.base import Database
from cdk_airflow_ecs.databases.rds import RdsDatabase
from cdk_airflow_ecs.executors.base import Executor, ExecutorContext
from cdk_airflow_ecs.executors.celery import CeleryExecutor
from cdk_airflow_ecs.images.registry import AirflowImage
from cdk_airflow_ecs.logs.base import LogStore
from cdk_airflow_ecs.logs.s3 import S3Logs
from cdk_airflow_ecs.plan import Option, SecretRef, Value
from cdk_airflow_ecs.tokens import is_secret, is_token
from cdk_airflow_ecs.web import Web

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

_OPTION_NAME: Final = re.compile(r"AIRFLOW__([A-Z0-9_]+?)__([A-Z0-9_]+)")
# Variables by which the official entry point script changes what a container does (scripts/docker/entrypoint_prod.sh).
_ENTRYPOINT_VARIABLES: Final = {
    "_AIRFLOW_DB_MIGRATE": "the migration gate upgrades the database",
    "_AIRFLOW_DB_UPGRADE": "the migration gate upgrades the database",
    "_AIRFLOW_DB_RESET": "it would erase the database at every start",
    "_AIRFLOW_WWW_USER_CREATE": "the migration gate creates the admin",
    "_PIP_ADDITIONAL_REQUIREMENTS": "it installs at every start; build an image instead",
}
# A bucket takes no snapshot; None does what suits each kind.
_REMOVAL_POLICIES: Final = ("DESTROY", "RETAIN")
# What CloudFormation would replace by the secret itself, in the task definition for all to read.
_DYNAMIC_REFERENCE: Final = "{{resolve:secretsmanager:"
_SERVICES: Final = {
    "ApiServer": "api_server",
    "Scheduler": "scheduler",
    "DagProcessor": "dag_processor",
    "Triggerer": "triggerer",
}
_SECRET_NAME: Final = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY)S?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A cluster's arguments, complete and checked."""

    version: AirflowVersion
    image: AirflowImage
    executor: Executor
    database: Database
    dags: DagSource
    logs: LogStore
    web: Web
    config: Mapping[Option, Value]
    environment: Mapping[str, Value]
    services: Mapping[str, Service]
    enable_exec: bool | None
    maintenance: bool
    given_secrets: Mapping[str, ecs.Secret] = field(compare=False)
    advice: tuple[Advice, ...]


def resolve(
    *,
    version: AirflowVersion | None = None,
    executor: Executor | None = None,
    database: Database | None = None,
    dags: DagSource | None = None,
    image: AirflowImage | None = None,
    logs: LogStore | None = None,
    web: Web | None = None,
    config: Mapping[str, Mapping[str, object]] | None = None,
    environment: Mapping[str, str | ecs.Secret] | None = None,
    services: Mapping[str, Service | None] | None = None,
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
    arguments.instance("version=", version, AirflowVersion, "AirflowVersion.V3_3")
    AirflowVersion.of(str(version))  # refuses one that was made by hand and is out of range
    arguments.flag("enable_exec=", enable_exec)
    arguments.flag("maintenance=", maintenance)
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
    given = _options(config, secrets)
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
        web=_default("web", web, Web, Web),
        config=options.merge([("config=", given), ("environment=", options_by_name)]),
        environment=given_environment,
        services={name: service for name, service in (services or {}).items() if service is not None},
        enable_exec=enable_exec,
        maintenance=maintenance,
        given_secrets=secrets,
        advice=(),
    )
    for name, service in settings.services.items():
        if name not in _SERVICES:
            raise ValueError(f"there is no service {name!r} to size; there are {', '.join(_SERVICES)}")
        arguments.instance(f"{_SERVICES[name]}=", service, Service, "Service(cpu=512, memory_mib=1024)")
        advice += _check_variables(name, service, version, secrets)
    for workers in settings.executor.plan(ExecutorContext(version=version)).workers:
        advice += _check_variables(workers.process.component, workers.service, version, secrets)
    if isinstance(settings.dags, ImageDags) and settings.image.is_official:
        raise ValueError(
            "dags=ImageDags() needs an image that holds your DAGs, and the official image holds none; pass"
            ' image=AirflowImage.registry("…") or use dags=S3Dags()'
        )
    advice += settings.web.advice()
    return replace(settings, advice=tuple(advice))


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
    arguments.construct("AirflowCluster", scope, "node", "a scope, such as a Stack, first", required=True)
    arguments.text("the id of an AirflowCluster", construct_id, "Airflow", required=True)
    arguments.construct("vpc=", vpc, "vpc_id", "an ec2.IVpc, such as ec2.Vpc.from_lookup(…)")
    arguments.construct("encryption_key=", encryption_key, "key_arn", "a kms.IKey")
    for name, selection in subnets.items():
        if selection is not None:
            example = "ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)"
            arguments.instance(f"{name}=", selection, SubnetSelection, example)
    if removal_policy is not None and getattr(removal_policy, "name", None) not in _REMOVAL_POLICIES:
        raise ValueError(
            f"removal_policy= takes RemovalPolicy.{' or RemovalPolicy.'.join(_REMOVAL_POLICIES)}; got"
            f" {arguments.shown(removal_policy)}. Leave it out to keep buckets and take a last snapshot of databases"
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


def split_environment(
    owner: str, environment: Mapping[str, str | ecs.Secret], secrets: dict[str, ecs.Secret]
) -> tuple[dict[str, Value], dict[Option, Value]]:
    """Part variables into plain ones and Airflow options; secrets become references, kept in *secrets*.

    Raises:
        ValueError: for a name that is none, or a value that would put a secret into the template.
    """
    if not isinstance(environment, Mapping):
        raise ValueError(f"{owner} is a mapping of names to text, got {environment!r}")
    plain: dict[str, Value] = {}
    found: dict[Option, Value] = {}
    for name, value in environment.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{owner}: {name!r} is no name of an environment variable")
        if name in _ENTRYPOINT_VARIABLES:
            raise ValueError(f"{owner}: {name} is not accepted: {_ENTRYPOINT_VARIABLES[name]}")
        if match := _OPTION_NAME.fullmatch(name):
            found[match[1].lower(), match[2].lower()] = _value(owner, name, value, secrets)
            continue
        if name.startswith(("AIRFLOW__", "AIRFLOW_CORE_")):
            raise ValueError(f"{owner}: {name} is no Airflow option; the form is AIRFLOW__SECTION__OPTION")
        if isinstance(value, str) and ((not is_token(value) and _looks_secret(name)) or _DYNAMIC_REFERENCE in value):
            raise ValueError(
                f"{owner}: {name} looks like a secret and would stand in plain text in the task definition; pass"
                " ecs.Secret.from_secrets_manager(...) as its value"
            )
        plain[name] = _value(owner, name, value, secrets)
    return plain, found


def _looks_secret(name: str) -> bool:
    return name.startswith("AIRFLOW_CONN_") or bool(_SECRET_NAME.search(name.upper()))


def _value(owner: str, name: str, value: object, secrets: dict[str, ecs.Secret]) -> Value:
    if isinstance(value, bool | int | float) and not is_token(value):
        return str(value)
    if isinstance(value, str):
        return value
    if is_secret(value):
        key = f"{owner}/{name}"
        secrets[key] = value  # type: ignore[assignment]  # which is_secret cannot tell mypy
        return SecretRef("Given", key)
    if is_token(value):
        raise ValueError(f"{owner}: {name} is {arguments.shown(value)}; write it as text, with Token.as_string(…)")
    raise ValueError(
        f"{owner}: {name} is {arguments.shown(value)}, neither text, a number nor an ecs.Secret; a secret of Secrets"
        " Manager becomes one with ecs.Secret.from_secrets_manager(…)"
    )


def _options(config: Mapping[str, Mapping[str, object]], secrets: dict[str, ecs.Secret]) -> dict[Option, Value]:
    if not isinstance(config, Mapping):
        raise ValueError(f'config= is a mapping such as {{"core": {{"parallelism": 64}}}}, got {config!r}')
    found: dict[Option, Value] = {}
    for section, values in config.items():
        if not isinstance(values, Mapping):
            raise ValueError(f'config={{"{section}": …}} takes a mapping of options to values, got {values!r}')
        for name, value in values.items():
            found[section, name] = _value("config=", f"{section}.{name}", value, secrets)
    return found


def _by_section(found: Mapping[Option, Value]) -> dict[str, dict[str, object]]:
    sections: dict[str, dict[str, object]] = {}
    for (section, name), value in found.items():
        sections.setdefault(section, {})[name] = value
    return sections


def _default(name: str, given: Any, kind: type, default: type) -> Any:
    if given is None:
        return default()
    arguments.instance(f"{name}=", given, kind, f"{default.__name__}()")
    return given
