"""guides/migrate/copilot.md: every line of the AWS Copilot walk-through has a row, and every row is true.

Rows are checked with the page's sample, with a second one for existing resources, or with another Airflow version.
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secretsmanager
from pages import ROOT, page, table

from cdk_airflow_ecs import (
    AirflowImage,
    AirflowVersion,
    CeleryExecutor,
    ExistingDatabase,
    ImageDags,
    LocalExecutor,
    LocalLogs,
    RdsDatabase,
    RedisBroker,
    S3Dags,
    Service,
    Web,
    WorkerPool,
)
from cdk_airflow_ecs.airflow import NO_DAGS
from cdk_airflow_ecs.images.built import BuiltImage
from cdk_airflow_ecs.plan import ClusterPlan, Container, SecretRef
from cdk_airflow_ecs.testing import plan_of
from synthesis import example, resources, strings, template_of

SIZE: dict[str, Any] = {"cpu": 512, "memory_mib": 1024, "count": 1, "ephemeral_storage_gib": 50}
SERVICES = ("Webserver", "Scheduler", "Pools/default")  # the walk-through's webserver, scheduler and worker
THEIRS = AirflowVersion.of("2.8.1")
WORDS: dict[str, Any] = {
    "version": THEIRS,
    "executor": CeleryExecutor(pools=[WorkerPool("default", **SIZE)]),
    "database": RdsDatabase(engine_version="14"),
    "config": {"logging": {"logging_level": "DEBUG"}},
    "environment": {"STAGE": "dev"},
    "enable_exec": True,
}


@functools.cache
def sample_plan() -> ClusterPlan:
    """Return the plan of the sample on the page."""
    return plan_of(services={"ApiServer": Service(**SIZE), "Scheduler": Service(**SIZE)}, **WORDS)


@functools.cache
def template() -> dict[str, Any]:
    """Return the template of the sample on the page."""
    return template_of(
        dags=S3Dags(ROOT / "examples/production/dags"),
        api_server=Service(**SIZE),
        scheduler=Service(**SIZE),
        removal_policy=RemovalPolicy.DESTROY,
        **WORDS,
    )


def _secret(stack: Any, name: str) -> secretsmanager.ISecret:
    return secretsmanager.Secret.from_secret_name_v2(stack, name.replace("/", ""), name)


def _database(stack: Any) -> ExistingDatabase:
    return ExistingDatabase(endpoint="db.host", port=5433, secret=_secret(stack, "their/login"), database_name="theirs")


def _executor(stack: Any) -> CeleryExecutor:
    return CeleryExecutor(
        broker=RedisBroker.existing("redis.host", port=6380, auth_token=_secret(stack, "their/token"))
    )


@functools.cache
def existing_resources() -> dict[str, Any]:
    """Return a template with an existing database, Redis, image and URL."""
    return template_of(
        version=THEIRS,
        database=_database,
        executor=_executor,
        image=AirflowImage.registry("ghcr.io/acme/airflow:2.8.1-1", entrypoint=["/start"]),
        dags=ImageDags(),
        web=Web(base_url="http://localhost:8080"),
    )


def containers(text: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each container of a template by name."""
    return {
        container["Name"]: container
        for definition in resources(text, "AWS::ECS::TaskDefinition").values()
        for container in definition["Properties"]["ContainerDefinitions"]
    }


def variable(text: dict[str, Any], container: str, name: str) -> Any:
    """Return an environment variable of a container."""
    return {item["Name"]: item["Value"] for item in containers(text)[container]["Environment"]}.get(name)


def secret_names(text: dict[str, Any], container: str) -> set[str]:
    """Return the names of a container's secret variables."""
    return {item["Name"] for item in containers(text)[container].get("Secrets", [])}


def parts() -> list[Container]:
    """Return the main containers of the three services in the walk-through."""
    return [container for name in SERVICES for container in sample_plan().component(name).containers]


def each(attribute: str, value: object) -> Callable[[], bool]:
    """Return a check of an attribute of the three services."""
    return lambda: all(getattr(sample_plan().component(name), attribute) == value for name in SERVICES)


def everywhere(name: str, value: str) -> Callable[[], bool]:
    """Return a check of an environment variable of the three services."""
    return lambda: all(container.environment[name] == value for container in parts())


def from_secret(of: str, field: str, name: str, container: str = "Webserver") -> Callable[[], bool]:
    """Return a check that a variable is from a generated secret."""
    return lambda: sample_plan().component(container).containers[0].environment[name] == SecretRef(of, field)


def generated(kind: str, name: str) -> bool:
    """Return whether Secrets Manager generates a secret."""
    (found,) = (item for place, item in resources(template(), kind).items() if place.startswith(f"Airflow{name}"))
    return "GenerateSecretString" in found["Properties"] and "SecretString" not in found["Properties"]


def commands(*words: str) -> Callable[[], bool]:
    """Return a check that some container has this command."""
    return lambda: (
        any(
            list(words) == [w for w in container.command if isinstance(w, str)][-n:]
            for n in [len(words)]
            for container in parts()
        )
        or any(" ".join(words) in " ".join(w for w in container.command if isinstance(w, str)) for container in parts())
    )


def edge(source: str, target: str, port: int) -> bool:
    """Return whether the plan permits a connection."""
    return any((e.source, e.target, e.port) == (source, target, port) for e in sample_plan().edges)


def image(text: dict[str, Any], container: str = "webserver") -> Any:
    """Return the image of a container."""
    return containers(text)[container]["Image"]


def property_of(text: dict[str, Any], kind: str, name: str) -> Any:
    """Return a property of the only resource of a type."""
    (found,) = resources(text, kind).values()
    return found["Properties"][name]


def health() -> bool:
    """Check the health checks of the load balancer and the containers."""
    kind, name = "AWS::ElasticLoadBalancingV2::TargetGroup", "HealthCheckPath"
    paths = [property_of(text, kind, name) for text in (template(), template_of())]
    return paths == ["/health", "/api/v2/version"] and all(container.health_check for container in parts())


def connect() -> bool:
    """Check that containers get the hosts of the stores by reference, and that the execution API has a DNS name."""
    hosts = [variable(template(), "scheduler", name) for name in ("METADATA_HOST", "BROKER_HOST")]
    named = variable(template_of(), "worker", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL")
    zone = property_of(template_of(), "AWS::ServiceDiscovery::PrivateDnsNamespace", "Name")
    return all("Fn::GetAtt" in host for host in hosts) and f"execution-api.{zone}:8081" in named


def fernet_key(stored: str) -> str:
    """Return Airflow's Fernet key for a stored value."""
    command = sample_plan().component("Webserver").containers[0].environment["AIRFLOW__CORE__FERNET_KEY_CMD"]
    return subprocess.run(
        shlex.split(str(command)), env={**os.environ, "FERNET_SEED": stored}, capture_output=True, text=True, check=True
    ).stdout


def keys_differ() -> bool:
    """Check that session secret and Fernet key differ."""
    names = [
        item["ValueFrom"]["Ref"]
        for item in containers(template())["webserver"]["Secrets"]
        if "Ref" in item["ValueFrom"]
    ]
    return generated("AWS::SecretsManager::Secret", "SecretsSession") and len(names) == len(set(names)) >= 2


def one_service() -> bool:
    """Check that the fields of Service(…) change only the component for which they are set."""
    plan = plan_of(
        version=THEIRS, enable_exec=False, services={"Scheduler": Service(enable_exec=True, environment={"ONLY": "1"})}
    )
    return [(c.name, "ONLY" in c.containers[0].environment) for c in plan.components if c.enable_exec] == [
        ("Scheduler", True)
    ]


def dags() -> bool:
    """Check the upload of DAGs and the DAG folders."""
    web = sample_plan().component("Webserver").containers[0].environment["AIRFLOW__CORE__DAGS_FOLDER"]
    baked = variable(existing_resources(), "worker", "AIRFLOW__CORE__DAGS_FOLDER")
    return (
        len(resources(template(), "Custom::CDKBucketDeployment")) == 1
        and web == NO_DAGS
        and baked == "/opt/airflow/dags"
        and variable(existing_resources(), "webserver", "AIRFLOW__CORE__DAGS_FOLDER") == NO_DAGS
    )


def custom_image() -> bool:
    """Check that every Airflow container runs the user's image."""
    return {container["Image"] for container in containers(existing_resources()).values()} == {
        "ghcr.io/acme/airflow:2.8.1-1"
    }


@functools.cache
def built() -> tuple[AirflowImage, dict[str, str]]:
    """Return an image from a directory like the walk-through's, with its build context."""
    files = {
        "configs/airflow.cfg": "[logging]\nlogging_level = DEBUG\n",
        "scripts/entrypoint.sh": '#!/bin/bash\nexec /entrypoint "$@"\n',
        "requirements/requirements.txt": "pandas\n",
        "plugins/ours.py": "",
        "dags/hello.py": "",
    }
    with TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).parent.mkdir(exist_ok=True)
            Path(folder, name).write_text(text)
        image = AirflowImage.build(folder)
        assert isinstance(image.source, BuiltImage)
        return image, {name: content.decode() for name, content in image.source.context(THEIRS).items()}


def builds(*lines: str) -> Callable[[], bool]:
    """Check that the Dockerfile of the walk-through's directory has these lines."""
    return lambda: all(f"\n{line}\n" in built()[1]["Dockerfile"] for line in lines)


def log_port() -> bool:
    """Check that workers, and a scheduler that runs tasks, serve logs on port 8793."""
    local = plan_of(version=THEIRS, executor=LocalExecutor()).component("Scheduler").containers[0]
    scheduler, worker = (sample_plan().component(name).containers[0] for name in ("Scheduler", "Pools/default"))
    return edge("Webserver", "Pools/default", 8793) and (worker.port, scheduler.port, local.port) == (8793, None, 8793)


def base_url() -> bool:
    """Check that the base URL is the load balancer's, the one in base_url=, or that of the domain in 3.x."""
    name = "AIRFLOW__WEBSERVER__BASE_URL"
    own = variable(template(), "webserver", name)
    named = plan_of(version=AirflowVersion.V3_3, web=Web(domain_name="airflow.example.com"))
    return (
        "Fn::GetAtt" in str(own)
        and variable(existing_resources(), "webserver", name) == "http://localhost:8080"
        and "AIRFLOW__API__BASE_URL" in named.component("ApiServer").containers[0].environment
    )


def remote_logging() -> bool:
    """Check that remote logging is on with S3, and off with LocalLogs."""
    off = plan_of(version=THEIRS, logs=LocalLogs()).component("Webserver").containers[0].environment
    return (
        everywhere("AIRFLOW__LOGGING__REMOTE_LOGGING", "True")()
        and off["AIRFLOW__LOGGING__REMOTE_LOGGING"] == "False"
        and len([b for b in resources(template(), "AWS::S3::Bucket") if "LogsTasks" in b]) == 1
    )


def password() -> bool:
    """Check that only the migration has the admin password, and that an output prints it."""
    holders = [
        c
        for component in sample_plan().components
        for c in component.containers
        if "AIRFLOW_ECS_ADMIN_PASSWORD" in c.environment
    ]
    return (
        generated("AWS::SecretsManager::Secret", "SecretsAdmin")
        and [c.name for c in holders] == ["migrate"]
        and any("AdminPasswordCommand" in output for output in template()["Outputs"])
    )


MANIFEST: dict[str, Callable[[], bool]] = {
    "`http: healthcheck: '/health'`": health,
    "`cpu: 512`": each("cpu", 512),
    "`memory: 1024`": each("memory_mib", 1024),
    "`count: 1`": lambda: each("count", 1)() and plan_of().component("Pools/default").count == 1,
    "`exec: true`": lambda: each("enable_exec", True)() and one_service(),
    "`network: connect: true`": connect,
    "`storage: ephemeral: 50`": each("ephemeral_storage_gib", 50),
    "`variables:`": lambda: everywhere("STAGE", "dev")() and one_service(),
    "`LOG_LEVEL: debug`": everywhere("AIRFLOW__LOGGING__LOGGING_LEVEL", "DEBUG"),
    "`REDIS_HOST: redis`": lambda: (
        "Fn::GetAtt" in variable(template(), "worker", "BROKER_HOST")
        and variable(existing_resources(), "worker", "BROKER_HOST") == "redis.host"
    ),
    "`REDIS_PORT: 6379`": lambda: (
        variable(template(), "worker", "BROKER_PORT") == "6379"
        and variable(existing_resources(), "worker", "BROKER_PORT") == "6380"
    ),
    "`POSTGRES_HOST: postgres`": lambda: (
        "Fn::GetAtt" in variable(template(), "worker", "METADATA_HOST")
        and variable(existing_resources(), "worker", "METADATA_HOST") == "db.host"
    ),
    "`POSTGRES_PORT: 5432`": lambda: (
        property_of(template(), "AWS::RDS::DBInstance", "Port") == "5432"
        and variable(existing_resources(), "worker", "METADATA_PORT") == "5433"
    ),
    "`POSTGRES_USER: airflow`": lambda: (
        from_secret("Database", "username", "METADATA_USER")()
        and "METADATA_USER" in secret_names(existing_resources(), "webserver")
    ),
    "`POSTGRES_PASSWORD: airflow`": lambda: (
        generated("AWS::SecretsManager::Secret", "DatabaseCredentials")
        and from_secret("Database", "password", "METADATA_PASSWORD")()
        and any(
            text.endswith(":password::") for text in strings(containers(existing_resources())["webserver"]["Secrets"])
        )
    ),
    "`POSTGRES_DB: airflow`": lambda: (
        property_of(template(), "AWS::RDS::DBInstance", "DBName") == "airflow"
        and variable(existing_resources(), "webserver", "METADATA_NAME") == "theirs"
    ),
    "`FERNET_KEY: …`": lambda: (
        generated("AWS::SecretsManager::Secret", "SecretsFernet")
        and fernet_key("46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho") == "46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho="
    ),
    "`SECRET_KEY: …`": keys_differ,
    "`AIRFLOW_BASE_URL: http://localhost:8080`": base_url,
    "`DEFAULT_PASSWORD: admin`": password,
    "`ENABLE_REMOTE_LOGGING: False`": remote_logging,
    "`STAGE: dev`": everywhere("STAGE", "dev"),
}
DOCKERFILES: dict[str, Callable[[], bool]] = {
    "`FROM postgres:14`": lambda: (
        property_of(template(), "AWS::RDS::DBInstance", "EngineVersion") == "14"
        and int(RdsDatabase().engine_version.partition(".")[0]) > 14
    ),
    "`ENV POSTGRES_USER=airflow`": MANIFEST["`POSTGRES_USER: airflow`"],
    "`ENV POSTGRES_PASSWORD=airflow`": MANIFEST["`POSTGRES_PASSWORD: airflow`"],
    "`ENV POSTGRES_DB=airflow`": MANIFEST["`POSTGRES_DB: airflow`"],
    "`EXPOSE 5432`": lambda: edge("Webserver", "Database", 5432),
    "`FROM redis:6-alpine`": lambda: (
        property_of(template(), "AWS::ElastiCache::ReplicationGroup", "Engine") == "valkey"
    ),
    "`EXPOSE 6379`": lambda: edge("Pools/default", "Broker", 6379),
    '`ENTRYPOINT ["redis-server"]`': lambda: len(resources(template(), "AWS::ElastiCache::ReplicationGroup")) == 1,
    "`FROM apache/airflow:slim-2.8.1-python3.11`": lambda: image(template()) == "apache/airflow:2.8.1-python3.11",
    "`COPY configs/airflow.cfg`": lambda: (
        everywhere("AIRFLOW__LOGGING__LOGGING_LEVEL", "DEBUG")()
        and built()[0].source.options["logging", "logging_level"] == "DEBUG"
    ),
    "`COPY scripts/entrypoint.sh`": lambda: (
        builds("COPY --chown=airflow:root entrypoint.sh /entrypoint.sh")()
        and containers(template())["webserver"]["EntryPoint"] == ["/usr/bin/dumb-init", "--", "/entrypoint"]
        and len(resources(template(), "Custom::AirflowMigration")) == 1
    ),
    "`COPY dags`": dags,
    "`COPY plugins`": lambda: custom_image() and builds("COPY --chown=airflow:root plugins/ /opt/airflow/plugins/")(),
    "`COPY requirements/requirements.txt`": lambda: built()[1]["requirements.txt"] == "pandas\n",
    '`RUN pip install "apache-airflow==${AIRFLOW_VERSION}" -r /requirements.txt`': lambda: (
        '"apache-airflow==${AIRFLOW_VERSION}" --requirement /opt/airflow/requirements.txt' in built()[1]["Dockerfile"]
    ),
    "`WORKDIR $AIRFLOW_HOME`": lambda: all("WorkingDirectory" not in c for c in containers(template()).values()),
    "`EXPOSE 8080`": lambda: edge("Web", "Webserver", 8080),
    "`EXPOSE 8793`": log_port,
    "`EXPOSE 5555`": lambda: not any(e.port == 5555 for e in sample_plan().edges),
    '`ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint.sh", "webserver"]`': lambda: (
        commands("airflow", "webserver")() and built()[0].entrypoint == ("/usr/bin/dumb-init", "--", "/entrypoint.sh")
    ),
    "`CMD []`": lambda: containers(template())["webserver"]["Command"] == ["airflow", "webserver"],
    '`ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]`': lambda: (
        {tuple(c["EntryPoint"][:3]) for c in containers(template()).values()}
        == {("/usr/bin/dumb-init", "--", "/entrypoint")}
        and {tuple(c["EntryPoint"]) for c in containers(existing_resources()).values()} == {("/start",)}
    ),
    '`CMD ["airflow", "scheduler"]`': commands("airflow", "scheduler"),
    '`CMD ["airflow", "celery", "worker"]`': commands("airflow", "celery", "worker"),
}
# Each field and variable in the walk-through's manifests, and each instruction in its Dockerfiles, once.
SEED_MANIFEST = (
    *("healthcheck", "cpu", "memory", "count", "exec", "connect", "ephemeral", "variables", "LOG_LEVEL", "REDIS_HOST"),
    *("REDIS_PORT", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"),
    *("FERNET_KEY", "SECRET_KEY", "AIRFLOW_BASE_URL", "DEFAULT_PASSWORD", "ENABLE_REMOTE_LOGGING", "STAGE"),
)
AIRFLOW = (
    "FROM apache/airflow:slim-2.8.1-python3.11",
    "COPY --chown=airflow:root configs/airflow.cfg ${AIRFLOW_HOME}/airflow.cfg",
    "COPY --chown=airflow:root dags ${AIRFLOW_HOME}/dags",
    "COPY --chown=airflow:root plugins ${AIRFLOW_HOME}/plugins",
    "COPY requirements/requirements.txt /requirements.txt",
    'RUN pip install --no-cache-dir "apache-airflow==${AIRFLOW_VERSION}" -r /requirements.txt',
    "WORKDIR $AIRFLOW_HOME",
)
SEED_DOCKERFILES = {
    "postgres": (
        *("FROM postgres:14", "ENV POSTGRES_USER=airflow", "ENV POSTGRES_PASSWORD=airflow"),
        *("ENV POSTGRES_DB=airflow", "EXPOSE 5432"),
    ),
    "redis": ("FROM redis:6-alpine", "EXPOSE 6379", 'ENTRYPOINT ["redis-server"]'),
    "webserver": (
        *AIRFLOW,
        "COPY --chown=airflow:root scripts/entrypoint.sh /entrypoint.sh",
        "EXPOSE 8080",
        'ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint.sh", "webserver"]',
        "CMD []",
    ),
    "scheduler": (
        *AIRFLOW,
        "EXPOSE 8793",
        'ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]',
        'CMD ["airflow", "scheduler"]',
    ),
    "worker": (
        *AIRFLOW,
        "EXPOSE 5555",
        'ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]',
        'CMD ["airflow", "celery", "worker"]',
    ),
}
SEED_COMMANDS = (
    *("export AWS_PROFILE", "copilot app init", "copilot app deploy", "copilot env init", "copilot env deploy"),
    *("copilot svc init", "copilot svc deploy"),
)


def rows(heading: str) -> list[list[str]]:
    """Return the rows of one of the page's tables."""
    return table(page("guides/migrate/copilot.md"), heading)[1:]


def shortened(instruction: str) -> str:
    """Return a Dockerfile instruction as the page writes it."""
    words = instruction.replace("--no-cache-dir ", "").split(" ")
    return f"COPY {words[-2]}" if words[0] == "COPY" else " ".join(words)


def test_every_row_of_the_copilot_page_has_a_check():
    """Each row of the page's tables has a check, and each check has a row."""
    assert [row[0] for row in rows("## Manifests")] == list(MANIFEST)
    assert [row[0] for row in rows("## Dockerfiles")] == list(DOCKERFILES)


def test_every_line_of_the_copilot_walk_through_has_a_row():
    """Every field, variable, instruction and command of the walk-through has a row."""
    listed = [row[0] for row in rows("## Manifests")]
    for field in SEED_MANIFEST:
        assert any(f"{field}:" in row for row in listed), field
    assert len(listed) == len(SEED_MANIFEST)
    listed = [row[0].strip("`") for row in rows("## Dockerfiles")]
    assert {*listed} == {shortened(line) for lines in SEED_DOCKERFILES.values() for line in lines}
    assert len(listed) == len({*listed})
    listed = [row[0] for row in rows("## Commands")]
    for command in SEED_COMMANDS:
        assert any(command in row for row in listed), command


@pytest.mark.parametrize("row", MANIFEST)
def test_each_row_about_the_copilot_manifests_is_true(row: str):
    """The check of each row about the manifests passes."""
    assert MANIFEST[row]()


@pytest.mark.parametrize("row", DOCKERFILES)
def test_each_row_about_the_copilot_dockerfiles_is_true(row: str):
    """The check of each row about the Dockerfiles passes."""
    assert DOCKERFILES[row]()


def test_the_replacements_of_copilot_commands_exist():
    """The replacements of Copilot's commands exist."""
    template_ = example("quickstart").templates["Quickstart"]
    assert any("LogsContainers" in name for name in resources(template_, "AWS::Logs::LogGroup"))
    assert len(resources(template_, "AWS::ECS::Service")) == 5


def test_the_template_contains_no_secret_of_the_copilot_walk_through():
    """The template does not contain the passwords and keys of the walk-through."""
    plain = strings([c["Environment"] for c in containers(template()).values()])
    assert "46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho=" not in strings(template())
    assert not {"POSTGRES_PASSWORD", "FERNET_KEY", "SECRET_KEY", "DEFAULT_PASSWORD"} & set(plain)
