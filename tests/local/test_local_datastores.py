"""Local databases and caches restart, and old data does not return."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import pytest
from places import temporary_state

pytest.importorskip("moto", reason="needs the environment of the extra [local]: make environments")

from cdk_airflow_ecs.local.aws import queues
from cdk_airflow_ecs.local.network.addresses import Addresses
from cdk_airflow_ecs.local.network.certificate_authority import Authority
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.state import State
from cdk_airflow_ecs.local.stores.datastores import Datastores
from cdk_airflow_ecs.local.stores.redis import RedisServer


class Server(SimpleNamespace):
    """A fake database server."""

    kind = "Redis 7"
    is_running = False
    starts = 0
    refuses = 0

    def restart(self) -> None:
        """Start; the first *refuses* calls fail."""
        self.starts += 1
        if self.starts <= self.refuses:
            raise Refusal("it does not start")
        self.is_running = True


@pytest.fixture
def done() -> list[tuple[str, str]]:
    """Return the list to which messages are logged."""
    return []


@pytest.fixture
def stores(done) -> Datastores:
    """Return datastores without servers."""
    return Datastores(
        account=SimpleNamespace(client=lambda service: None),
        state=None,
        addresses=None,
        authority=None,
        say=lambda *words: done.append(words),
    )


def test_a_database_server_that_died_is_restarted(stores, done):
    """A server that died is restarted once, and both events are logged."""
    stores.servers["Cache"] = server = Server()
    stores.look()
    stores.look()
    assert server.starts == 1
    assert done == [("Cache", "Redis 7 has died"), ("Cache", "Redis 7 restarted")]


def test_a_failed_restart_is_tried_again(stores, done):
    """A failed restart of a server is logged and tried again."""
    stores.servers["Cache"] = server = Server(refuses=1)
    stores.look()
    stores.look()
    assert server.is_running
    assert ("Cache", "it does not start") in done


def test_saved_sqs_messages_are_restored_once(stores, monkeypatch):
    """Only the next run restores a queue's saved messages, even if that run is killed."""
    messages = [{"id": "1"}]
    put = []
    monkeypatch.setattr(queues, "put_back", lambda account, *words: put.append(words))
    with temporary_state() as state:
        stores.state = state
        state.write("queues", {"Work": messages})
        for _ in range(2):
            stores.created("AWS::SQS::Queue", "Work", "http://x/1/work", {})
    assert put == [("http://x/1/work", messages), ("http://x/1/work", [])]


def test_a_failed_start_of_a_run_keeps_saved_sqs_messages(stores, monkeypatch):
    """If a start fails before it creates a queue, the queue's saved messages are kept."""
    monkeypatch.setattr(State, "save_buckets", lambda *_: 0)
    monkeypatch.setattr(queues, "messages", lambda account, urls: {name: [] for name in urls})
    with temporary_state() as state:
        stores.state = state
        state.write("queues", {"Work": [{"id": "1"}]})
        stores.queues["Other"] = "http://x/1/other"
        stores.stop()
        assert state.read("queues") == {"Work": [{"id": "1"}], "Other": []}


@pytest.mark.slow
@pytest.mark.parametrize(("number", "kept"), [(signal.SIGTERM, ":1"), (signal.SIGKILL, ":0")])
def test_a_killed_redis_restarts_empty(stores, number, kept):
    """A stopped Redis restarts with its data; a killed Redis restarts empty."""
    with temporary_state() as state:
        addresses = Addresses.open(isolated=False)
        server = RedisServer(
            state, "cache", address=addresses.add("cache"), authority=Authority(state.folder("a")), password="x"
        )
        stores.servers["cache"] = server
        server.start()
        server.command("SET", "held", "1")
        server.restart()
        os.kill(server._process.pid, number)
        server._process.wait(60)
        stores.look()
        assert server.command("EXISTS", "held") == kept
        server.stop()
        addresses.close()
