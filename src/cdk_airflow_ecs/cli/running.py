"""A running local cluster, accessed from another process."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from cdk_airflow_ecs.local.network.addresses import Addresses
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.state import State

_DOWN_SECONDS: Final = 60.0
# Lines that in_container/dag_sync.py prints for each revision: one per skipped file, then the number of files.
_SYNCED: Final = re.compile(r"\bdags: (?:skipped (?P<skipped>.+)|\d+ files from s3://)")


@dataclass(frozen=True, kw_only=True)
class Running:
    """A running local cluster.

    Args:
        pid: its process.
        url: URL of the UI.
        api: URL of the AWS API.
        admin_secret: id of the admin's secret; empty if the template has none.
        key: access key id and secret access key of the API.
    """

    pid: int
    url: str
    api: str
    region: str
    admin_secret: str
    key: tuple[str, str] = field(repr=False)

    @classmethod
    def of(cls, directory: Path) -> Running:
        """Return the cluster that runs on a state directory; raise Refusal if none runs."""
        state = State.open(directory) if directory.is_dir() else None
        found = state.read("run") if state else None
        if not found or not _lives(int(found["pid"])):
            raise Refusal(f"no cluster runs on {directory}. Start it with `airflow-ecs local up`, or pass --state")
        if "api" not in found:
            raise Refusal(f"the cluster on {directory} is starting (process {found['pid']}). Try again in a moment")
        key = (state.read("key") if state else None) or {"id": "", "secret": ""}
        given = {name: found[name] for name in ("pid", "url", "api", "region", "admin_secret")}
        return cls(**given, key=(key["id"], key["secret"]))

    @staticmethod
    def end(directory: Path) -> bool:
        """Stop the cluster, and processes of a killed run. Return whether any process was stopped."""
        if not directory.is_dir():
            return False
        state = State.open(directory)
        found = state.read("run") or {}
        pid = int(found.get("pid", 0))
        alive = bool(pid) and _lives(pid)
        if alive:
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + _DOWN_SECONDS
            while _lives(pid) and time.monotonic() < end:
                time.sleep(0.1)
            if _lives(pid):
                os.kill(pid, signal.SIGKILL)
        left = state.processes.stop_all()
        if not alive and found:  # the run was killed; opening and closing addresses removes the network that it left
            Addresses.open().close()
        state.write("run", {})
        return alive or bool(left)

    def client(self, service: str) -> Any:
        """Return a boto3 client of the cluster's AWS API."""
        import boto3  # noqa: PLC0415

        session: Any = boto3.Session(*self.key, region_name=self.region)
        return session.client(service, endpoint_url=self.api)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that direct AWS clients to the cluster's AWS API."""
        return {
            "AWS_ENDPOINT_URL": self.api,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.key[0],
            "AWS_SECRET_ACCESS_KEY": self.key[1],
        }

    def services(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each component's name, and its ECS service as described by the API."""
        ecs = self.client("ecs")
        for cluster in ecs.list_clusters()["clusterArns"]:
            arns = ecs.list_services(cluster=cluster, maxResults=100)["serviceArns"]
            described = ecs.describe_services(cluster=cluster, services=arns)["services"] if arns else []
            for service in described:
                definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
                options = definition["containerDefinitions"][0].get("logConfiguration", {}).get("options", {})
                yield options.get("awslogs-stream-prefix") or service["serviceName"], service

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield a row per task for `status`: component, desired, running, health, address, time since start."""
        ecs = self.client("ecs")
        for name, service in self.services():
            counts = (str(service["desiredCount"]), str(service["runningCount"]))
            arns = ecs.list_tasks(cluster=service["clusterArn"], serviceName=service["serviceName"])["taskArns"]
            tasks = ecs.describe_tasks(cluster=service["clusterArn"], tasks=arns)["tasks"] if arns else []
            alive = [task for task in tasks if task["lastStatus"] != "STOPPED"]
            for task in alive:
                details = {each["name"]: each["value"] for each in task["attachments"][0]["details"]}
                health = task.get("healthStatus", "UNKNOWN").lower()
                yield name, *counts, health, details["privateIPv4Address"], _ago(task.get("startedAt"))
            if not alive:
                yield name, *counts, "", "", ""

    def scale(self, component: str, count: int) -> None:
        """Set the desired count of a component; raise Refusal if it does not exist."""
        found = dict(self.services())
        if component not in found:
            raise Refusal(f"the component {component} does not exist; existing ones: {', '.join(sorted(found))}")
        service = found[component]
        self.client("ecs").update_service(
            cluster=service["clusterArn"], service=service["serviceName"], desiredCount=count
        )

    def password(self) -> str:
        """Return the admin's password; raise Refusal if the template has no admin."""
        if not self.admin_secret:
            raise Refusal("the template has no output with the command for the admin's password")
        found = self.client("secretsmanager").get_secret_value(SecretId=self.admin_secret)["SecretString"]
        return str(found)


def skipped_files(logs: Path) -> dict[str, list[str]]:
    """Return the DAG files that each component's last sync skipped, with reasons, from its log in folder *logs*."""
    found: dict[str, list[str]] = {}
    for log in sorted(logs.glob("*.log"), key=lambda file: file.stat().st_mtime):
        skipped: list[str] = []
        for match in _SYNCED.finditer(log.read_text(encoding="utf-8", errors="replace")):
            if match["skipped"]:
                skipped.append(match["skipped"])
            else:
                found[log.name.partition(".")[0]], skipped = skipped, []
    return {component: files for component, files in found.items() if files}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return "Z" not in _state(pid)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _ago(moment: datetime | None) -> str:
    if moment is None:
        return ""
    seconds = int((datetime.now(timezone.utc) - moment).total_seconds())
    return f"{seconds // 60} min" if seconds >= 120 else f"{seconds} s"
