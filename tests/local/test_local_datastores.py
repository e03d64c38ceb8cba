"""Stores behind a template's resources: what dies is started again, and what was done does not come back."""

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
    """A store that does as it is told."""

    kind = "Redis 7"
    is_running = False
    starts = 0
    refuses = 0

    def restart(self) -> None:
        """Start, but for the first times."""
        self.starts += 1
        if self.starts <= self.refuses:
            raise Refusal("it does not start")
        self.is_running = True


@pytest.fixture
def done() -> list[tuple[str, str]]:
    """Collect what people are told."""
    return []


@pytest.fixture
def stores(done) -> Datastores:
    """Look after nothing yet."""
    return Datastores(
        account=SimpleNamespace(client=lambda service: None),
        state=None,
        addresses=None,
        authority=None,
        say=lambda *words: done.append(words),
    )


def test_what_died_is_started_again(stores, done):
    """Once, and people are told."""
    stores.servers["Cache"] = server = Server()
    stores.look()
    stores.look()
    assert server.starts == 1
    assert done == [("Cache", "Redis 7 has died"), ("Cache", "Redis 7 restarted")]


def test_what_does_not_start_is_tried_again(stores, done):
    """A first failure is told, and is not the last try."""
    stores.servers["Cache"] = server = Server(refuses=1)
    stores.look()
    stores.look()
    assert server.is_running
    assert ("Cache", "it does not start") in done


def test_what_is_queued_comes_back_once(stores, monkeypatch):
    """A queue holds at its next start what it held at the end, and a run that is killed then brings none of it back."""
    held = [{"id": "1"}]
    put = []
    monkeypatch.setattr(queues, "put_back", lambda account, *words: put.append(words))
    with temporary_state() as state:
        stores.state = state
        state.write("queues", {"Work": held})
        for _ in range(2):
            stores.created("AWS::SQS::Queue", "Work", "http://x/1/work", {})
    assert put == [("http://x/1/work", held), ("http://x/1/work", [])]


def test_a_start_that_fails_forgets_no_message(stores, monkeypatch):
    """A queue that was not made again keeps what is kept for it."""
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
def test_a_redis_that_died(stores, number, kept):
    """Told to stop, it comes back with what it held; killed, it comes back empty, also after an earlier stop."""
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
