"""Translates a template to Compose."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from cdk_airflow_ecs.local.assembly import StackFile
from cdk_airflow_ecs.local.compose.project import Project
from cdk_airflow_ecs.local.compose.secrets import Secrets
from cdk_airflow_ecs.local.compose.stores import QUEUES, RESULTS, cache, database, elasticmq, escaped, queues, results
from cdk_airflow_ecs.local.images.image import ImageBuild, kind_of
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.values import Values

_HOME: Final = "/opt/airflow"
_SYNC: Final = re.compile(r"s3://\S+")
_BUNDLE: Final = "airflow_ecs_sync"
_LOCAL_BUNDLE: Final = "airflow.dag_processing.bundles.local.LocalDagBundle"
# The AWS SDK requires credentials; ElasticMQ and DynamoDB local accept any.
_LOGIN: Final = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


def compose(
    stack: StackFile, *, port: int = 8080, remember: Callable[[str, Callable[[], str]], str] = lambda _, make: make()
) -> Project:
    """Translate one stack to a Compose project; raises a Refusal for unsupported resources.

    *remember* stores generated secrets by name, so that later calls use the same.
    """
    return _Translation(stack, port, remember).project()


class _Translation:
    def __init__(self, stack: StackFile, port: int, remember: Callable[[str, Callable[[], str]], str]) -> None:
        self._stack = stack
        self._port = port
        self._resources: dict[str, dict[str, Any]] = stack.template["Resources"]
        self._values = Values(template=stack.template, answer=self._answer)
        self._services: dict[str, dict[str, Any]] = {}
        self._environments: dict[str, dict[str, str]] = {}
        self._volumes: dict[str, None] = {}
        self._queues: dict[str, int] = {}
        self._tables: set[str] = set()
        self._missing: list[str] = []
        self._notes: list[str] = []
        self._stores = {logical_id: name for name, logical_id in self._name_stores()}
        self._secrets = Secrets(self._resources, self._values, remember)

    def project(self) -> Project:
        self._add_stores()
        self._add_gate()
        for _, service in self._all("AWS::ECS::Service"):
            self._add_service(service)
        files = self._add_queues()
        if "migration" in self._services:
            self._services["migration"]["depends_on"] = self._needs_stores()
        if not any(
            kind_of(str(each.get("image", ""))) == "airflow" or "build" in each for each in self._services.values()
        ):
            raise Refusal(f"the stack {self._stack.name} has no Airflow service")
        document = {
            "name": re.sub(r"[^a-z0-9_-]", "-", self._stack.name.lower()),
            "services": self._services,
            "volumes": dict.fromkeys(self._volumes),
        }
        return Project(
            document=document,
            environments=self._environments,
            files=files,
            missing=tuple(self._missing),
            notes=tuple(self._notes),
        )

    def _all(self, *kinds: str) -> list[tuple[str, dict[str, Any]]]:
        return [(name, each["Properties"]) for name, each in self._resources.items() if each["Type"] in kinds]

    # Resolution of references

    def _name_stores(self) -> list[tuple[str, str]]:
        databases = self._all("AWS::RDS::DBCluster") or self._all("AWS::RDS::DBInstance")
        caches = self._all("AWS::ElastiCache::ReplicationGroup")
        named = []
        for name, found in (("database", databases), ("broker", caches)):
            named += [(name if n == 0 else f"{name}-{n + 1}", logical_id) for n, (logical_id, _) in enumerate(found)]
        return named

    def _answer(self, logical_id: str, attribute: str) -> str | None:  # noqa: PLR0911  # a table
        kind = self._resources.get(logical_id, {}).get("Type")
        if logical_id in self._stores and attribute.endswith((".Address", "Endpoint.Address")):
            return self._stores[logical_id]
        if logical_id in self._stores and attribute.endswith(".Port"):
            return str(self._resources[logical_id]["Properties"].get("Port", 5432))
        if kind == "AWS::DynamoDB::Table" and attribute == "Ref":
            self._tables.add(logical_id)
            return logical_id
        if kind == "AWS::SQS::Queue" and attribute == "Ref":
            self._queues[logical_id] = int(self._resources[logical_id]["Properties"].get("VisibilityTimeout", 30))
            return f"http://{QUEUES}:9324/000000000000/{logical_id}"
        if kind == "AWS::ElasticLoadBalancingV2::LoadBalancer" and attribute == "DNSName":
            return f"localhost:{self._port}"
        if kind in ("AWS::S3::Bucket", "AWS::Logs::LogGroup") and attribute == "Ref":
            return logical_id
        if kind == "AWS::SecretsManager::Secret" and attribute == "Ref":
            return logical_id
        if kind == "AWS::SecretsManager::SecretTargetAttachment" and attribute == "Ref":
            return self._values.text(self._resources[logical_id]["Properties"]["SecretId"])
        return None

    # Stores

    def _add_stores(self) -> None:
        for logical_id, name in self._stores.items():
            properties = self._resources[logical_id]["Properties"]
            if self._resources[logical_id]["Type"] == "AWS::ElastiCache::ReplicationGroup":
                self._services[name] = self._cache(name, properties)
            else:
                self._services[name] = self._database(name, properties)

    def _add_queues(self) -> dict[str, str]:
        files = {}
        if self._queues:
            self._services[QUEUES] = queues()
            files["elasticmq.conf"] = elasticmq(self._queues)
        if self._tables:
            self._services[RESULTS] = results()
        return files

    def _database(self, name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        self._environments[name] = {"POSTGRES_PASSWORD": self._secrets.dynamic(properties["MasterUserPassword"])}
        self._volumes[name] = None
        return database(
            name,
            version=str(properties.get("EngineVersion", "17")),
            database=self._values.text(properties.get("DBName") or properties.get("DatabaseName")),
            user=self._secrets.dynamic(properties["MasterUsername"]),
        )

    def _cache(self, name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        token = self._secrets.dynamic(properties.get("AuthToken", ""))
        self._environments[name] = {"REDISCLI_AUTH": token}
        return cache(
            name,
            engine=properties.get("Engine", "redis"),
            version=str(properties.get("EngineVersion", "8.0")),
            port=properties.get("Port", 6379),
            has_token=bool(token),
        )

    # Services

    def _add_gate(self) -> None:
        for _, properties in self._all("Custom::AirflowMigration"):
            definition = self._definition(properties["TaskDefinition"])
            for container in definition["ContainerDefinitions"]:
                service = self._container("migration", container, definition)
                service |= {"restart": "no"}
                service.pop("healthcheck", None)
                self._services["migration"] = service

    def _needs_stores(self) -> dict[str, Any]:
        return {
            name: {"condition": "service_healthy" if "healthcheck" in self._services[name] else "service_started"}
            for name in self._services
            if name in (*self._stores.values(), QUEUES, RESULTS)
            or kind_of(str(self._services[name].get("image", ""))) in ("postgres", "redis")
        }

    def _definition(self, reference: Any) -> dict[str, Any]:
        logical_id = reference.get("Ref") if isinstance(reference, dict) else None
        if logical_id not in self._resources:
            raise Refusal(f"task definition {reference!r} is not in the template")
        return dict(self._resources[logical_id]["Properties"])

    def _add_service(self, properties: Mapping[str, Any]) -> None:
        definition = self._definition(properties["TaskDefinition"])
        containers = definition["ContainerDefinitions"]
        first = ""
        for container in containers:
            name = self._unused(container)
            service = self._container(name, container, definition)
            is_store = kind_of(str(service.get("image", ""))) in ("postgres", "redis")
            if not is_store and "migration" in self._services:
                service["depends_on"] = {"migration": {"condition": "service_completed_successfully"}}
            if first:
                # Containers of an ECS task share one network.
                service["network_mode"] = f"service:{first}"
                service.setdefault("depends_on", {})[first] = {"condition": "service_started", "restart": True}
            else:
                first = name
                aliases = [self._dns_name(each["RegistryArn"]) for each in properties.get("ServiceRegistries", ())]
                if aliases:
                    service["networks"] = {"default": {"aliases": aliases}}
            count = int(properties.get("DesiredCount", 1))
            if count != 1:
                service.setdefault("deploy", {})["replicas"] = count
            for target in properties.get("LoadBalancers", ()):
                if target["ContainerName"] == container["Name"]:
                    service["ports"] = [f"127.0.0.1:{self._port}:{target['ContainerPort']}"]
            self._services[name] = service

    def _unused(self, container: Mapping[str, Any]) -> str:
        name = str(container["Name"])
        prefix = container.get("LogConfiguration", {}).get("Options", {}).get("awslogs-stream-prefix", "")
        if name in self._services and isinstance(prefix, str):
            name = f"{name}-{re.sub(r'[^a-z0-9-]', '-', prefix.lower())}"
        if name in self._services:
            raise Refusal(f"two containers have the name {name}; rename one")
        return name

    def _dns_name(self, registry: Any) -> str:
        service = self._resources[registry["Fn::GetAtt"][0]]["Properties"]
        namespace = service.get("NamespaceId") or service["DnsConfig"]["NamespaceId"]
        return f"{service['Name']}.{self._resources[namespace['Fn::GetAtt'][0]]['Properties']['Name']}"

    def _container(self, name: str, container: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
        service = self._image(container["Image"])
        is_store = kind_of(str(service.get("image", ""))) in ("postgres", "redis")
        entrypoint, dags = self._without_sync(self._values.any(container.get("EntryPoint", [])))
        if entrypoint:
            service["entrypoint"] = [escaped(word) for word in entrypoint]
        if container.get("Command"):
            service["command"] = [escaped(self._values.text(word)) for word in container["Command"]]
        variables = {each["Name"]: each["Value"] for each in container.get("Environment", ())}
        environment = variables if is_store else self._adapt(name, variables)
        dags = dags or "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST" in variables
        service["environment"] = {key: escaped(self._values.text(value)) for key, value in environment.items()}
        self._add_secrets(name, service, container)
        volumes = [] if is_store else [f"logs:{_HOME}/logs"]
        if dags:
            volumes.append(f"./dags:{service['environment'].get('AIRFLOW__CORE__DAGS_FOLDER', f'{_HOME}/dags')}:ro")
        volumes += [f"{each['SourceVolume']}:{each['ContainerPath']}" for each in container.get("MountPoints", ())]
        self._volumes |= {each.partition(":")[0]: None for each in volumes if not each.startswith(".")}
        if volumes:
            service["volumes"] = volumes
        if container.get("HealthCheck"):
            service["healthcheck"] = _health_check(container["HealthCheck"])
        if container.get("StopTimeout"):
            service["stop_grace_period"] = f"{container['StopTimeout']}s"
        if container.get("User") and kind_of(str(service.get("image", ""))) != "postgres":
            # PostgreSQL's entry point must start as root to change the owner of the new volume.
            service["user"] = container["User"]
        if definition.get("Memory"):
            service["deploy"] = {"resources": {"limits": {"memory": f"{self._values.text(definition['Memory'])}M"}}}
        service["restart"] = "unless-stopped"
        return service

    def _image(self, image: Any) -> dict[str, Any]:
        text = self._values.text(image)
        for built in self._stack.images:
            if text.endswith(f":{built.tag}"):
                return {"build": _build(built.build)}
        return {"image": text}

    def _without_sync(self, entrypoint: list[str]) -> tuple[list[str], bool]:
        """Remove the DAG synchronization from a command: `python`, `-c`, code and arguments."""
        for position, word in enumerate(entrypoint):
            if word == _BUNDLE:  # the argument before the DAG bundle's modules
                return entrypoint[: position - 3] + entrypoint[entrypoint.index("--", position) + 1 :], True
            if isinstance(word, str) and _SYNC.fullmatch(word):
                return entrypoint[: position - 3] + entrypoint[position + 3 :], True
        return entrypoint, False

    def _adapt(self, name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        executor = str(variables.get("AIRFLOW__CORE__EXECUTOR", ""))
        if "Ecs" in executor:
            raise Refusal(
                f"{name}: the executor {executor} is not supported in Compose, because it starts tasks in ECS. Use"
                " CeleryExecutor or LocalExecutor, or `airflow-ecs local up`"
            )
        found: dict[str, Any] = {}
        for key, value in variables.items():
            if key.startswith("AIRFLOW_VAR_ECS_"):
                self._notes.append(f"{name}: {key} is omitted, because Compose has no ECS")
            elif key.endswith(("BROKER_URL_CMD", "RESULT_BACKEND_CMD")):
                found[key] = str(value).replace("rediss://", "redis://").replace("?ssl_cert_reqs=required", "")
            elif key == "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST":
                bundle = {"name": "dags", "classpath": _LOCAL_BUNDLE, "kwargs": {"path": f"{_HOME}/dags"}}
                found[key] = json.dumps([bundle])
            elif not key.startswith("AIRFLOW__LOGGING__REMOTE_"):
                found[key] = value
        found["AIRFLOW__LOGGING__REMOTE_LOGGING"] = "False"
        if "PGSSLMODE" in found:
            found["PGSSLMODE"] = "disable"
        if variables.get("AIRFLOW__CELERY__BROKER_URL") == "sqs://":
            found["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__IS_SECURE"] = "False"
            found["AWS_ENDPOINT_URL_SQS"] = f"http://{QUEUES}:9324"
            found["AWS_ENDPOINT_URL_DYNAMODB"] = f"http://{RESULTS}:8000"
            found |= _LOGIN
        return found

    def _add_secrets(self, name: str, service: dict[str, Any], container: Mapping[str, Any]) -> None:
        hidden = {}
        for each in container.get("Secrets", ()):
            text = self._secrets.text(self._values.text(each["ValueFrom"]))
            if text is None:
                self._missing.append(each["Name"])
                service["environment"][each["Name"]] = f"${{{each['Name']}:?a secret that is not in the template}}"
            else:
                hidden[each["Name"]] = text
        if hidden:
            self._environments[name] = hidden
            service["env_file"] = [f"secrets/{name}.env"]


def _build(build: ImageBuild) -> dict[str, Any]:
    found: dict[str, Any] = {"context": str(build.folder)}
    if build.file != "Dockerfile":
        found["dockerfile"] = build.file
    if build.arguments:
        found["args"] = {name: escaped(value) for name, value in build.arguments.items()}
    if build.target:
        found["target"] = build.target
    return found


def _health_check(check: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"test": [escaped(word) for word in check["Command"]]}
    names = {"Interval": "interval", "Timeout": "timeout", "StartPeriod": "start_period"}
    found |= {name: f"{check[key]}s" for key, name in names.items() if key in check}
    if "Retries" in check:
        found["retries"] = check["Retries"]
    return found
