"""Task scale-in protection in the ECS API; moto lacks `GetTaskProtection` and `UpdateTaskProtection`."""

from datetime import datetime, timedelta, timezone
from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.exceptions import InvalidParameterException
from moto.ecs.models import EC2ContainerServiceBackend, Task
from moto.ecs.responses import EC2ContainerServiceResponse

from cdk_airflow_ecs.local.agent.protection import is_protected

# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateTaskProtection.html
LONGEST, DEFAULT = 2880, 120  # minutes


def protect_tasks() -> None:
    """Add both operations."""

    def get_task_protection(self: EC2ContainerServiceResponse) -> ActionResult:
        return _answer(self, lambda task: None)

    def update_task_protection(self: EC2ContainerServiceResponse) -> ActionResult:
        minutes = self._get_param("expiresInMinutes")
        minutes = DEFAULT if minutes is None else minutes
        if not 1 <= minutes <= LONGEST:
            raise InvalidParameterException(f"expiresInMinutes must be 1 to {LONGEST}, got {minutes}")
        enabled = self._get_param("protectionEnabled")

        def update(task: Task) -> str | None:
            if enabled and _is_blocked(self.ecs_backend, task):
                return "DEPLOYMENT_BLOCKED"
            task.protected_until = datetime.now(timezone.utc) + timedelta(minutes=minutes) if enabled else None
            return None

        return _answer(self, update)

    EC2ContainerServiceResponse.get_task_protection = get_task_protection
    EC2ContainerServiceResponse.update_task_protection = update_task_protection


def _answer(response: EC2ContainerServiceResponse, act: Any) -> ActionResult:
    backend = response.ecs_backend
    known = backend.tasks.get(backend._get_cluster(response._get_param("cluster", "default")).name, {})
    by_id = {task.id: task for task in known.values() if task.last_status != "STOPPED"}
    named = response._get_param("tasks", None) or [task.task_arn for task in by_id.values()]
    protected, failures = [], []
    for name in named:
        task = by_id.get(name.rpartition("/")[2])
        if task is None:
            reason = "MISSING"
        elif not str(task.group).startswith("service:"):
            reason = "TASK_NOT_VALID"
        else:
            reason = act(task)
        if task is None or reason:
            failures.append({"arn": task.task_arn if task else name, "reason": reason})
            continue
        is_on = is_protected(task)
        expires = {"expirationDate": task.protected_until} if is_on else {}
        protected.append({"taskArn": task.task_arn, "protectionEnabled": is_on, **expires})
    return ActionResult({"protectedTasks": protected, "failures": failures})


def _is_blocked(backend: EC2ContainerServiceBackend, task: Task) -> bool:
    """Return whether the service would have more protected tasks than its desired count.

    AWS documents this as the cause of DEPLOYMENT_BLOCKED (ECS developer guide, "task scale-in protection").
    """
    tasks = [each for each in backend.tasks[task.cluster_name].values() if each.group == task.group]
    others = [each for each in tasks if each is not task and each.last_status != "STOPPED" and is_protected(each)]
    named = (task.cluster_name, str(task.group).partition(":")[2])
    service = next((each for each in backend.services.values() if (each.cluster_name, each.name) == named), None)
    return service is not None and len(others) + 1 > int(service.desired_count)
