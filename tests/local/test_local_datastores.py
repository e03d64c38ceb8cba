"""Stores of a template's resources: restarts, and data that must not return."""

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
    """A fake store."""

    kind = "Redis 7"
    is_running = False
    starts = 0
    refuses = 0

    def restart(self) -> None:
        """Start, or fail the first *refuses* times."""
        self.starts += 1
        if self.starts <= self.refuses:
            raise Refusal("it does not start")
        self.is_running = True


@pytest.fixture
def done() -> list[tuple[str, str]]:
    """Return the list of log messages."""
    return []


@pytest.fixture
def stores(done) -> Datastores:
    """Return datastores without a store."""
    return Datastores(
        account=SimpleNamespace(client=lambda service: None),
        state=None,
        addresses=None,
        authority=None,
        say=lambda *words: done.append(words),
    )


def test_a_store_that_died_is_restarted(stores, done):
    """A store that died is restarted once, with log messages."""
    stores.servers["Cache"] = server = Server()
    stores.look()
    stores.look()
    assert server.starts == 1
    assert done == [("Cache", "Redis 7 has died"), ("Cache", "Redis 7 restarted")]


def test_a_failed_restart_is_tried_again(stores, done):
    """A failed restart is logged and tried again."""
    stores.servers["Cache"] = server = Server(refuses=1)
    stores.look()
    stores.look()
    assert server.is_running
    assert ("Cache", "it does not start") in done


def test_saved_messages_are_restored_once(stores, monkeypatch):
    """A queue gets its saved messages at the next start only once, even if that run is killed."""
    messages = [{"id": "1"}]
    put = []
    monkeypatch.setattr(queues, "put_back", lambda account, *words: put.append(words))
    with temporary_state() as state:
        stores.state = state
        state.write("queues", {"Work": messages})
        for _ in range(2):
            stores.created("AWS::SQS::Queue", "Work", "http://x/1/work", {})
    assert put == [("http://x/1/work", messages), ("http://x/1/work", [])]


def test_a_failed_start_keeps_saved_messages(stores, monkeypatch):
    """A queue that was not created again keeps its saved messages."""
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
def test_data_of_a_redis_that_died(stores, number, kept):
    """A Redis that was stopped restarts with its data; one that was killed restarts empty."""
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
