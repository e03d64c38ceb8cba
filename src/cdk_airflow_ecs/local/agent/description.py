"""Descriptions of tasks and containers for the ECS API and the metadata endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cdk_airflow_ecs.local.agent.container import Container, command


def described(
    task: str, spec: Mapping[str, Any], ip: str, container: Container | None, *, is_over: bool
) -> dict[str, Any]:
    """Return a container's description for DescribeTasks; *container* is None if it does not exist yet."""
    found: dict[str, Any] = {
        "containerArn": f"{task}/{spec['name']}",
        "taskArn": task,
        "name": spec["name"],
        "image": spec["image"],
        "lastStatus": "STOPPED" if is_over else "PENDING",
        "healthStatus": "UNKNOWN",
        "networkInterfaces": [{"privateIpv4Address": ip}] if ip else [],
    }
    if container is None:
        return found
    found["healthStatus"] = container.health
    found["runtimeId"] = f"{task.rpartition('/')[2].replace('-', '')}-{container.pid or 0}"
    if container.exit_code is not None:
        found |= {"lastStatus": "STOPPED"} | ({} if container.reason else {"exitCode": container.exit_code})
    elif container.pid is not None:
        found["lastStatus"] = "RUNNING"
    if container.reason:
        found["reason"] = container.reason
    return found


def metadata(record: Any, definition: Any, ip: str, containers: Sequence[Container]) -> dict[str, Any]:
    """Return a task's description for version 4 of the metadata endpoint."""
    return {
        "Cluster": record.cluster_arn,
        "TaskARN": record.task_arn,
        "Family": definition.family,
        "Revision": str(definition.revision),
        "DesiredStatus": record.desired_status,
        "KnownStatus": record.last_status,
        "LaunchType": record.launch_type or "FARGATE",
        "Containers": [
            {
                "DockerId": f"{record.id}-{container.name}",
                "Name": container.name,
                "DockerName": container.name,
                "Image": container.spec["image"],
                "KnownStatus": "RUNNING" if container.is_running else "STOPPED",
                **({"RestartCount": container.restarts} if container.spec.get("restartPolicy") else {}),
                "ContainerARN": f"{record.task_arn}/{container.name}",
                "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": [ip]}],
                "Command": command(container.spec, container.entrypoint),
            }
            for container in containers
        ],
    }


def title(definition: Any, otherwise: str) -> str:
    """Return the log stream prefix of a task definition's first container, or *otherwise*."""
    options = (definition.container_definitions[0].get("logConfiguration") or {}).get("options", {})
    return str(options.get("awslogs-stream-prefix") or otherwise)
