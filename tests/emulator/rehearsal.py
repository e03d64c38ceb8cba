"""The ECS agent of the deploy tests; tests determine the result of each task."""

import threading
import time
from typing import Any

from moto.core.utils import utcnow
from moto.ecs.models import EC2ContainerServiceBackend, Task

from cdk_airflow_ecs.local.aws.account import Account


class Agent:
    """An agent that runs no containers and ends tasks by plans.

    With the plan `{"image", "exit", "logs", "reason", "seconds"}`, a task whose first container runs `image` writes
    `logs` and stops with `exit` after `seconds`. A task without a plan succeeds.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.plans: list[dict] = []
        self.ran: list[dict] = []

    def start(self, task: Task, definition: Any) -> None:
        """Simulate a task in the background until its end."""
        overrides = {item["name"]: item for item in (task.overrides or {}).get("containerOverrides", [])}
        task.containers = [
            {
                "containerArn": f"{task.task_arn}/{item['name']}",
                "taskArn": task.task_arn,
                "name": item["name"],
                "image": item["image"],
                "lastStatus": "PENDING",
                "networkInterfaces": [],
            }
            for item in definition.container_definitions
        ]
        image = definition.container_definitions[0]["image"]
        plan = next((plan for plan in self.plans if plan["image"] == image), {})
        record = {
            "taskArn": task.task_arn,
            "taskDefinition": definition.arn,
            "containers": [
                item | {"command": overrides.get(item["name"], {}).get("command", item.get("command"))}
                for item in definition.container_definitions
            ],
            "networkConfiguration": task.network_configuration,
            "startedBy": task.started_by,
        }
        self.ran.append(record)
        threading.Thread(target=self._live, args=(task, definition, plan), daemon=True).start()

    def _live(self, task: Task, definition: Any, plan: dict) -> None:
        time.sleep(0.1)
        for container in task.containers:
            container["lastStatus"] = "RUNNING"
        self._write(task, definition.container_definitions[0], plan.get("logs", []))
        time.sleep(plan.get("seconds", 0.3))
        for container in task.containers:
            container["lastStatus"] = "STOPPED"
            code = plan.get("exit", 0)
            if code is not None:  # a container that never started has no exit code
                container["exitCode"] = code
        task.stop_code = "EssentialContainerExited"
        task.stopped_reason = plan.get("reason", "Essential container in task exited")
        task.stopped_at = utcnow()
        task.desired_status = task.status = "STOPPED"

    def _write(self, task: Task, container: dict, lines: list[str]) -> None:
        options = container.get("logConfiguration", {}).get("options", {})
        group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
        if not lines or not group:
            return
        logs, stream = self.account.client("logs"), f"{prefix}/{container['name']}/{task.id}"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        stamp = int(time.time() * 1000)
        events = [{"timestamp": stamp, "message": line} for line in lines]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def steady_services() -> None:
    """Make each service report its desired count as running."""
    for name in ("create_service", "update_service"):
        original = getattr(EC2ContainerServiceBackend, name)

        def change(self: Any, *args: Any, original: Any = original, **kwargs: Any) -> Any:
            service = original(self, *args, **kwargs)
            service.running_count, service.pending_count = service.desired_count, 0
            for deployment in service.deployments:
                deployment |= {
                    "taskDefinition": service.task_definition,
                    "desiredCount": service.desired_count,
                    "runningCount": service.desired_count,
                    "pendingCount": 0,
                    "rolloutState": "COMPLETED",
                }
            return service

        setattr(EC2ContainerServiceBackend, name, change)
