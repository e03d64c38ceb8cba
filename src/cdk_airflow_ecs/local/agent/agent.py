"""ECS agent and service scheduler of the local API."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from moto.ecs.models import ecs_backends

from cdk_airflow_ecs.local.agent.description import title
from cdk_airflow_ecs.local.agent.service import Service
from cdk_airflow_ecs.local.agent.task import Task, TaskRuntime
from cdk_airflow_ecs.local.agent.utilization import Utilization
from cdk_airflow_ecs.local.aws.account import Account

_PACE: Final = 0.5  # seconds


@dataclass
class Agent:
    """Starts and stops tasks as recorded by the local ECS API."""

    runtime: TaskRuntime
    account: Account
    services: dict[str, Service] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    _utilization: Utilization = field(default_factory=Utilization)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    @property
    def backend(self) -> Any:
        """Moto's ECS backend."""
        return ecs_backends[self.account.id][self.account.region]

    def started(self, record: Any, definition: Any) -> None:
        """Start a task that `RunTask` or a service has recorded."""
        task = Task(
            record=record, definition=definition, runtime=self.runtime, name=title(definition, definition.family)
        )
        with self._lock:
            self.tasks[record.id] = task
        task.begin()

    def stopped(self, record: Any, reason: str) -> None:
        """Stop a task on behalf of `StopTask`."""
        task = self.tasks.get(record.id)
        if task and not task.is_over:
            task.stop(reason, "UserInitiated")

    def start(self) -> None:
        """Start checking the services in a background thread."""
        self._thread = threading.Thread(target=self._follow, name="agent", daemon=True)
        self._thread.start()

    def stop(self, longest: float) -> None:
        """Stop all tasks, each container within *longest* seconds, and wait for them.

        Services with a DNS name or load balancer stop last, because stopping workers still report to the API server.
        """
        self._over.set()
        if self._thread:
            self._thread.join()
        services = [service.record for service in self.services.values()]
        called = {f"service:{each.name}" for each in services if each.service_registries or each.load_balancers}
        alive = [task for task in self.tasks.values() if not task.is_over]
        for last in (False, True):
            turn = [task for task in alive if (task.record.group in called) == last]
            for task in turn:
                task.stop("The cluster goes down", "ServiceSchedulerInitiated", longest)
            end = time.monotonic() + longest + 10
            while any(not task.is_over for task in turn) and time.monotonic() < end:
                time.sleep(0.1)

    def tasks_of(self, service: Service) -> list[Task]:
        """Return all tasks of a service, including stopped ones."""
        with self._lock:
            return [
                task
                for task in self.tasks.values()
                if task.record.group == f"service:{service.record.name}"
                and task.record.cluster_name == service.record.cluster_name
            ]

    def _follow(self) -> None:
        while not self._over.wait(_PACE):
            try:
                self._look()
            except Exception:  # retried at the next check
                logging.getLogger(__name__).exception("following the services")

    def _look(self) -> None:
        for key, record in list(self.backend.services.items()):
            service = self.services.setdefault(
                key, Service(record=record, backend=self.backend, client=self.account.client)
            )
            service.follow(self.tasks_of(service))
        for key in set(self.services) - set(self.backend.services):
            for task in self.tasks_of(self.services[key]):
                task.stop("Service deleted", "ServiceSchedulerInitiated")
        measured = [(service.record, service.tasks) for service in self.services.values()]
        self._utilization.follow(measured, self.account.client)
