"""The ECS agent stops tasks in an order that lets workers report results."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("moto", reason="needs the environment of the extra [local]: make environments")

from cdk_airflow_ecs.local.agent.agent import Agent


class Task(SimpleNamespace):
    """A fake task that ends as soon as it is stopped."""

    is_over = False

    def stop(self, reason, code, longest) -> None:
        """End the task, and append its group to the list of ended tasks."""
        del reason, code, longest
        self.is_over = True
        self.ended.append(self.record.group)


def test_the_api_server_stops_after_workers_and_their_ecs_tasks():
    """Workers and their ECS tasks end before the API server, to which they report results."""
    ended: list[str] = []
    groups = ("service:api", "service:worker", "family:etl")
    tasks = {group: Task(record=SimpleNamespace(group=group), ended=ended) for group in groups}
    services = {
        name: SimpleNamespace(record=SimpleNamespace(name=name, service_registries=names, load_balancers=[]))
        for name, names in (("api", [{"registryArn": "x"}]), ("worker", []))
    }
    Agent(runtime=None, account=None, services=services, tasks=tasks).stop(1)
    assert ended == ["service:worker", "family:etl", "service:api"]
