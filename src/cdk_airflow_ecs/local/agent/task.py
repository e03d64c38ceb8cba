"""One ECS task, from its definition to the exit codes of its containers."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cdk_airflow_ecs.local.agent.container import Container, script
from cdk_airflow_ecs.local.agent.description import described, metadata
from cdk_airflow_ecs.local.agent.endpoints import Endpoints, TaskIdentity
from cdk_airflow_ecs.local.agent.homes import Homes
from cdk_airflow_ecs.local.agent.protection import is_protected
from cdk_airflow_ecs.local.agent.sidecars import runnable_containers
from cdk_airflow_ecs.local.refusal import Refusal

if TYPE_CHECKING:
    from cdk_airflow_ecs.local.images.environments import Environment
    from cdk_airflow_ecs.local.network.address import TaskAddress
    from cdk_airflow_ecs.local.network.addresses import Addresses
    from cdk_airflow_ecs.local.state import State

_PACE: Final = 0.25  # seconds between two polls
_RESTART_PERIOD: Final = 300  # minimum seconds of a container's run before a restart (ECS's default)


@dataclass(frozen=True, kw_only=True)
class TaskRuntime:
    """Dependencies shared by all tasks.

    Args:
        temporary: parent folder of the containers' /tmp.
        secret: returns the value of a `valueFrom`, read with an execution role.
        variables: environment variables that are added to every container (see substitutions.py).
        ship: called for each new log file, with file, log group and log stream.
        skipped: (family, container) pairs already reported as skipped.
    """

    state: State
    homes: Homes
    temporary: Path
    addresses: Addresses
    image: Callable[[str], Future[Environment]]
    secret: Callable[[str, str], str]
    endpoints: Endpoints
    variables: Mapping[str, str]
    region: str
    ship: Callable[[Path, str, str], None]
    say: Callable[[str, str], None]
    skipped: set[tuple[str, str]] = field(default_factory=set)


@dataclass(kw_only=True)
class Task:
    """One task; *name* is its component or family, shown to the user."""

    record: Any
    definition: Any
    runtime: TaskRuntime
    name: str
    containers: list[Container] = field(default_factory=list)
    address: TaskAddress | None = None
    home: Path | None = None
    task_identity: TaskIdentity | None = None
    stopping: bool = False
    failed_start: str = ""
    endpoint: str = field(default_factory=lambda: secrets.token_hex(16))
    _longest: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def status(self) -> str:
        """The task's `lastStatus` in the ECS API."""
        return str(self.record.last_status)

    @property
    def health(self) -> str:
        """UNHEALTHY if an essential container is, HEALTHY if all essential ones with a check are, else UNKNOWN."""
        found = [container.health for container in self.containers if container.is_essential and container.has_check]
        if "UNHEALTHY" in found:
            return "UNHEALTHY"
        return "HEALTHY" if found and set(found) == {"HEALTHY"} else "UNKNOWN"

    @property
    def is_ready(self) -> bool:
        """Whether the task runs and its health checks, if any, succeed."""
        checked = any(container.has_check for container in self.containers)
        return self.status == "RUNNING" and not self.stopping and (self.health == "HEALTHY" or not checked)

    @property
    def is_over(self) -> bool:
        """Whether the task has stopped."""
        return self.status == "STOPPED"

    @property
    def is_protected(self) -> bool:
        """Whether the task is protected from scale-in and deployments."""
        return is_protected(self.record)

    def begin(self) -> None:
        """Start in a background thread."""
        self._describe("PROVISIONING")
        threading.Thread(target=self._live, name=f"task-{self.record.id}", daemon=True).start()

    def stop(self, reason: str, code: str, longest: float | None = None) -> None:
        """Stop all containers, each within *longest* seconds."""
        with self._lock:
            if longest is not None:
                self._longest = longest
            if not self.stopping:
                self.stopping = True
                self.record.desired_status = "STOPPED"
                self.record.stopped_reason, self.record.stop_code = reason, code

    # Life cycle, in a background thread

    def _live(self) -> None:
        try:
            self._provide()
            while not self._step():
                time.sleep(_PACE)
        except Refusal as refusal:
            self.failed_start = f"CannotPullContainerError: {refusal}"
        except Exception as error:  # becomes the task's stopped reason
            self.failed_start = f"ResourceInitializationError: {type(error).__name__}: {error}"
        finally:
            self._end()

    def _provide(self) -> None:
        runtime, overrides = self.runtime, self._overrides()
        runnable = runnable_containers(self.definition.container_definitions, runtime.image, self._say_once)
        self.address = runtime.addresses.add(f"{self.name}-{self.record.id[:8]}")
        for detail in self.record.attachments[0]["details"] if self.record.attachments else ():
            if detail["name"] == "privateIPv4Address":
                detail["value"] = self.address.ip
            if detail["name"] == "privateDnsName":
                detail["value"] = self.address.hostname
        self._describe("PENDING")
        role = (self.record.overrides or {}).get("taskRoleArn") or self.definition.task_role_arn or ""
        self.task_identity = TaskIdentity(arn=self.record.task_arn, role=role, describe=self.metadata)
        runtime.endpoints.add(self.endpoint, self.task_identity)
        self.home = runtime.homes.take(self.name)
        for spec, environment in runnable:
            if self.stopping:
                return
            home = self.home / spec["name"]
            environment.prepare(home)
            if environment.image.script:
                script(environment.image.script, home)
            override = overrides.get(spec["name"], {})
            merged = {**spec, "command": override.get("command") or spec.get("command") or []}
            if not (merged["command"] or merged.get("entryPoint")):
                merged["command"] = list(environment.image.command)
            resolve = runtime.addresses.resolve
            merged |= {
                key: [resolve(word) for word in merged[key]] for key in ("command", "entryPoint") if merged.get(key)
            }
            self.containers.append(
                Container(
                    spec=merged,
                    environment=self._environment(merged, environment, home, override),
                    home=home,
                    prefix=self.address.command_prefix,
                    log=self._log(spec),
                    processes=runtime.state.processes,
                    entrypoint=environment.image.entrypoint or (),
                    folder=environment.folder(home),
                    locate=partial(environment.located, home=home),
                    label=f"{self.name}/{spec['name']}",
                )
            )

    def _say_once(self, container: str, text: str) -> None:
        if (self.definition.family, container) not in self.runtime.skipped:
            self.runtime.skipped.add((self.definition.family, container))
            self.runtime.say(f"{self.name}/{container}", text)

    def _overrides(self) -> dict[str, dict[str, Any]]:
        return {item["name"]: item for item in (self.record.overrides or {}).get("containerOverrides", [])}

    def _environment(
        self, spec: Mapping[str, Any], environment: Environment, home: Path, override: Mapping[str, Any]
    ) -> dict[str, str]:
        """Return the environment; precedence, lowest first: agent, image, substitutions, definition, overrides."""
        runtime, identity = self.runtime, f"{self.endpoint}-c-{spec['name']}"
        base = runtime.addresses.metadata_url
        credentials = f"/v2/credentials/{self.endpoint}"
        found = {
            "HOME": str(home),
            "TMPDIR": str(self._temporary(spec["name"])),
            "LANG": "C.UTF-8",
            "AIRFLOW_HOME": str(home),
            "DUMB_INIT_SETSID": "1",
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
            "AWS_REGION": runtime.region,
            "AWS_DEFAULT_REGION": runtime.region,
            "ECS_AGENT_URI": f"{base}/api/{identity}",
            "ECS_CONTAINER_METADATA_URI": f"{base}/v4/{identity}",
            "ECS_CONTAINER_METADATA_URI_V4": f"{base}/v4/{identity}",
            **environment.variables(home),
            **runtime.variables,
        }
        if self.task_identity and self.task_identity.role:
            relative = base == "http://169.254.170.2"
            name = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" if relative else "AWS_CONTAINER_CREDENTIALS_FULL_URI"
            found[name] = credentials if relative else base + credentials
        for item in [*spec.get("environment", []), *override.get("environment", [])]:
            value = runtime.addresses.resolve(str(item["value"]))
            found[item["name"]] = environment.located(value, home)
        for item in spec.get("secrets", []):
            text = runtime.secret(item["valueFrom"], self.definition.execution_role_arn or "")
            found[item["name"]] = runtime.addresses.resolve(text)
        if runtime.addresses.python_path:
            given = found.get("PYTHONPATH")
            found["PYTHONPATH"] = os.pathsep.join(filter(None, (runtime.addresses.python_path, given)))
        return found

    def _temporary(self, name: str) -> Path:
        """Create the container's /tmp; its path is short, because paths of sockets are limited to 107 characters."""
        number = [spec["name"] for spec in self.definition.container_definitions].index(name)
        folder = self.runtime.temporary / f"{self.record.id[:8]}{number}"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _log(self, spec: Mapping[str, Any]) -> Path:
        folder = self.runtime.state.folder("logs")
        file = folder / f"{self.name}.{spec['name']}.{self.record.id[:8]}.log"
        options = (spec.get("logConfiguration") or {}).get("options", {})
        if options.get("awslogs-group"):
            prefix = options.get("awslogs-stream-prefix")
            stream = f"{prefix}/{spec['name']}/{self.record.id}" if prefix else f"{spec['name']}-{self.record.id}"
            self.runtime.ship(file, options["awslogs-group"], stream)
        return file

    def _step(self) -> bool:
        for container in self.containers:
            container.poll()
            self._restart(container)
        ended = [container for container in self.containers if container.exit_code is not None]
        fallen = next((container for container in ended if container.is_essential), None)
        if fallen and not self.stopping:
            code = "EssentialContainerExited" if fallen.pid else "TaskFailedToStart"
            self.stop(fallen.reason or "Essential container in task exited", code)
        if self.stopping:
            return self._step_down()
        for container in self.containers:
            if container.pid is None and container.exit_code is None and self._may_start(container):
                container.start()
        # Executors detect a container that cannot start by the task's missing start time and exit code.
        started = all(c.pid is not None or (c.exit_code is not None and not c.is_essential) for c in self.containers)
        self._describe("RUNNING" if started else "PENDING")
        return False

    def _step_down(self) -> bool:
        self._describe("DEACTIVATING" if self.status == "RUNNING" else "STOPPING")
        alive = [container for container in self.containers if container.is_running]
        for container in alive:
            # A container stops after those that depend on it.
            if not any(self._depends(other, container) for other in alive if other is not container):
                container.stop(self._longest)
        return not alive

    @staticmethod
    def _depends(one: Container, other: Container) -> bool:
        return any(need["containerName"] == other.name for need in one.spec.get("dependsOn", []))

    def _may_start(self, container: Container) -> bool:
        named = {other.name: other for other in self.containers}
        for need in container.spec.get("dependsOn", []):
            other, condition = named.get(need["containerName"]), need["condition"]
            if other is None:
                continue  # a sidecar that cannot run locally
            if condition in ("COMPLETE", "SUCCESS") and other.exit_code is not None:
                if condition == "SUCCESS" and other.exit_code:
                    self.stop(f"Container {other.name} exited with {other.exit_code}", "TaskFailedToStart")
                    return False
                continue
            met = {"START": other.pid is not None, "HEALTHY": other.health == "HEALTHY"}
            if not met.get(condition, False):
                return False
        return True

    def _restart(self, container: Container) -> None:
        policy = container.spec.get("restartPolicy") or {}
        if container.exit_code is None or not policy.get("enabled") or self.stopping:
            return
        ran = (container.ended_at or 0) - (container.started_at or 0)
        ignored = container.exit_code in policy.get("ignoredExitCodes", [])
        if not ignored and ran >= float(policy.get("restartAttemptPeriod", _RESTART_PERIOD)):
            container.exit_code, container.restarts = None, container.restarts + 1
            container.start()

    def _end(self) -> None:
        if self.failed_start:
            self.runtime.say(self.name, self.failed_start)
            self.record.desired_status = "STOPPED"
            self.record.stopped_reason, self.record.stop_code = self.failed_start, "TaskFailedToStart"
        if self.address is not None:
            self.runtime.addresses.release(self.address)
        self.runtime.homes.release(self.home)
        self.runtime.endpoints.remove(self.endpoint)
        self.record.stopped_at = datetime.now(timezone.utc)
        self._describe("STOPPED")

    # Descriptions for the API

    def _describe(self, status: str) -> None:
        if status == "RUNNING" and self.record.last_status != "RUNNING":
            self.record.started_at = datetime.now(timezone.utc)
        self.record.health_status = self.health
        self.record.connectivity = "CONNECTED"
        arn, ip, is_over = self.record.task_arn, self._address_on_network, status == "STOPPED"
        known = {container.name: container for container in self.containers}
        self.record.containers = [
            described(arn, spec, ip, known.get(spec["name"]), is_over=is_over)
            for spec in self.definition.container_definitions
        ]
        self.record.status = status

    def metadata(self) -> dict[str, Any]:
        """Return the task for the metadata endpoint."""
        return metadata(self.record, self.definition, self._address_on_network, self.containers)

    @property
    def _address_on_network(self) -> str:
        return self.address.ip if self.address else ""
