"""An ECS service: keeps the desired number of tasks, replaces failed, unhealthy and outdated ones."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

from cdk_airflow_ecs.local.agent.description import title
from cdk_airflow_ecs.local.agent.task import Task

_LONGEST_DELAY: Final = 60.0  # seconds between two starts while tasks keep failing
_QUIET_SECONDS: Final = 300.0  # a task that ran longer did not fail at its start


@dataclass(kw_only=True)
class Service:
    """One service."""

    record: Any
    backend: Any
    client: Callable[[str], Any]
    deaths: int = 0
    was_steady: bool = False
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=40))
    _known: dict[str, Task] = field(default_factory=dict)
    _buried: set[str] = field(default_factory=set)
    _registered: dict[str, str] = field(default_factory=dict)
    _not_before: float = 0
    _deployed: str = ""

    @property
    def title(self) -> str:
        """Name shown to the user: stream prefix of the first container, or the service's name."""
        return title(self.backend.describe_task_definition(self.record.task_definition), self.record.name)

    @property
    def is_steady(self) -> bool:
        """Whether exactly the desired tasks run, ready and of the current revision."""
        ready = [task for task in self._known.values() if task.is_ready and self._is_current(task)]
        return len(ready) == int(self.record.desired_count) == len([t for t in self._known.values() if not t.is_over])

    @property
    def tasks(self) -> list[Task]:
        """The tasks that have not stopped."""
        return [task for task in self._known.values() if not task.is_over]

    def follow(self, tasks: Sequence[Task]) -> None:
        """Start or stop tasks as needed, and update the service's record."""
        # Also count tasks that failed between two checks.
        self._known |= {task.record.id: task for task in tasks if task.record.id not in self._buried}
        self._bury()
        tasks = self.tasks
        wanted = int(self.record.desired_count)
        alive = [task for task in tasks if not task.stopping]
        for task in alive:
            if task.health == "UNHEALTHY":
                task.stop(f"Task failed container health checks: {task.name}", "ServiceSchedulerInitiated")
        current = [task for task in alive if self._is_current(task) and not task.stopping]
        old = [task for task in alive if not self._is_current(task)]
        self._replace(current, old, wanted)
        for task in self._superfluous(current, wanted):
            task.stop("Scaling activity initiated by deployment", "ServiceSchedulerInitiated")
        self._register(alive)
        self._describe(tasks, wanted)

    def _is_current(self, task: Task) -> bool:
        return bool(task.record.task_definition_arn == self._definition_arn())

    def _definition_arn(self) -> str:
        return str(self.backend.describe_task_definition(self.record.task_definition).arn)

    def _replace(self, current: Sequence[Task], old: list[Task], wanted: int) -> None:
        limits = getattr(self.record, "deployment_configuration", None) or {}
        most = -(-wanted * int(limits.get("maximumPercent", 200)) // 100)
        least = wanted * int(limits.get("minimumHealthyPercent", 100)) // 100
        ready = [task for task in [*current, *old] if task.is_ready]
        # First stop tasks that are not ready; of the ready ones, keep the minimum healthy percent.
        for task in sorted((task for task in old if not task.is_protected), key=lambda task: task.is_ready):
            if not task.is_ready or len(ready) > least or least == 0:
                task.stop("Scaling activity initiated by deployment", "ServiceSchedulerInitiated")
                ready = [other for other in ready if other is not task]
        room = most - len(current) - len([task for task in old if not task.is_over])
        for _ in range(min(wanted - len(current), max(room, 0))):
            if time.monotonic() < self._not_before:
                return
            self._start()

    @staticmethod
    def _superfluous(current: list[Task], wanted: int) -> list[Task]:
        free = [task for task in current if not task.is_protected]
        free.sort(key=lambda task: (task.is_ready, task.record.id))
        return free[: max(len(current) - wanted, 0)]

    def _start(self) -> None:
        deployment = self.record.deployments[0]["id"] if self.record.deployments else "ecs-svc"
        self.backend.run_task(
            self.record.cluster_name,
            self._definition_arn(),
            1,
            {},
            deployment,
            [],
            "FARGATE",
            self.record.network_configuration or None,
            group=f"service:{self.record.name}",
        )

    def _bury(self) -> None:
        for identity, task in list(self._known.items()):
            if not task.is_over:
                continue
            del self._known[identity]
            self._buried.add(identity)
            self._deregister(task)
            if task.record.stop_code not in ("EssentialContainerExited", "TaskFailedToStart"):
                continue
            started = getattr(task.record, "started_at", None)  # missing until the task has started
            lived = (datetime.now(timezone.utc) - started).total_seconds() if started else 0
            self.deaths = 1 if lived > _QUIET_SECONDS else self.deaths + 1
            self._not_before = time.monotonic() + min(2.0 ** (self.deaths - 1) - 1, _LONGEST_DELAY)
            self.last_words.clear()
            self.last_words.append(task.record.stopped_reason)
            for container in task.containers:
                if container.exit_code:
                    self.last_words.append(f"{container.name} exited with {container.exit_code}; its last lines:")
                    self.last_words.extend(container.last_lines())

    def _describe(self, tasks: Sequence[Task], wanted: int) -> None:
        self.record.running_count, self.record.pending_count = _counts(tasks)
        running, pending = _counts([task for task in tasks if self._is_current(task)])
        self.was_steady = self.was_steady or (self.is_steady and wanted > 0)
        for deployment in self.record.deployments[:1]:
            # A deployment that is complete stays so when tasks fail or the desired count changes.
            was_complete = deployment.get("rolloutState") == "COMPLETED"
            is_same = deployment.get("taskDefinition") == self._definition_arn()
            if self._deployed not in ("", self._definition_arn()):
                deployment |= {"id": f"ecs-svc/{uuid.uuid4().int}", "createdAt": datetime.now(timezone.utc)}
            self._deployed = self._definition_arn()
            deployment |= {
                "taskDefinition": self._definition_arn(),
                "desiredCount": wanted,
                "runningCount": running,
                "pendingCount": pending,
                "failedTasks": self.deaths,
                "rolloutState": "COMPLETED" if self.is_steady or (was_complete and is_same) else "IN_PROGRESS",
            }

    # Service discovery and target groups

    def _register(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if task.status != "RUNNING" or task.address is None or task.record.id in self._registered:
                continue
            self._registered[task.record.id] = task.address.ip
            for registry in self.record.service_registries:
                self.client("servicediscovery").register_instance(
                    ServiceId=_last(registry["registryArn"]),
                    InstanceId=task.record.id,
                    Attributes={"AWS_INSTANCE_IPV4": task.address.ip},
                )
            for target in self.record.load_balancers:
                self.client("elbv2").register_targets(**_target(target, task.address.ip))
            self._point(task)

    def _deregister(self, task: Task) -> None:
        ip = self._registered.pop(task.record.id, None)
        if ip is None:
            return
        with suppress(Exception):  # already deleted with the stack
            for registry in self.record.service_registries:
                self.client("servicediscovery").deregister_instance(
                    ServiceId=_last(registry["registryArn"]), InstanceId=task.record.id
                )
            for target in self.record.load_balancers:
                self.client("elbv2").deregister_targets(**_target(target, ip))
            self._point(task)

    def _point(self, task: Task) -> None:
        if not task.runtime.addresses.isolated:  # on a shared loopback, names have fixed addresses
            return
        discovery = self.client("servicediscovery")
        for registry in self.record.service_registries:
            service = discovery.get_service(Id=_last(registry["registryArn"]))["Service"]
            namespace = discovery.get_namespace(Id=service["NamespaceId"])["Namespace"]["Name"]
            task.runtime.addresses.point(f"{service['Name']}.{namespace}", sorted(set(self._registered.values())))


def _counts(tasks: Sequence[Task]) -> tuple[int, int]:
    """Return the number of running and of pending tasks."""
    statuses = [task.status for task in tasks]
    return statuses.count("RUNNING"), statuses.count("PROVISIONING") + statuses.count("PENDING")


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]


def _target(balancer: dict[str, Any], ip: str) -> dict[str, Any]:
    return {
        "TargetGroupArn": balancer["targetGroupArn"],
        "Targets": [{"Id": ip, "Port": int(balancer["containerPort"])}],
    }
