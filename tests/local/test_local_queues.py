"""The local SQS loses and duplicates no messages, also over a restart."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("moto", reason="needs the environment of the extra [local]: make environments")

from moto.sqs.models import Queue, SQSBackend, sqs_backends

from cdk_airflow_ecs.local.aws import connections, queues
from cdk_airflow_ecs.local.aws.account import Account

ACCOUNT = Account()


@pytest.fixture
def backend(monkeypatch) -> SQSBackend:
    """Create SQS with one queue."""
    for kind, name in ((SQSBackend, "receive_message"), (Queue, "delete_message")):
        monkeypatch.setattr(kind, name, getattr(kind, name))
    queues.one_at_a_time()
    backend = sqs_backends[ACCOUNT.id][ACCOUNT.region]
    backend.reset()
    backend.create_queue("work", {})
    return backend


def test_each_message_in_the_local_sqs_is_received_once(backend):
    """Four parallel receivers get each message once while other threads send."""

    def send(number):
        for place in range(100):
            backend.send_message("work", f"{number}-{place}")

    def receive(_):
        bodies = []
        while True:
            is_last = all(each.done() for each in sent)
            if found := backend.receive_message("work", 1, 1, 300):
                bodies.append(found[0].body)
                backend.delete_message("work", found[0].receipt_handle)
            elif is_last:
                return bodies

    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(send, number) for number in range(4)]
        received = [body for bodies in pool.map(receive, range(4)) for body in bodies]
        assert not any(each.exception() for each in sent)
    assert len(received) == len(set(received)) == 400
    assert backend.queues["work"]._messages == []


def test_sqs_messages_survive_a_restart_of_the_local_cluster(backend):
    """After a restart, unreceived messages are available, received ones still hidden and deleted ones gone."""
    for body in ("done", "taken", "waits"):
        backend.send_message("work", body)
    done = backend.receive_message("work", 1, 0, 30)[0]
    backend.delete_message("work", done.receipt_handle)
    received = backend.receive_message("work", 1, 0, 30)[0]
    saved = json.loads(json.dumps(queues.messages(ACCOUNT, {"Work": "http://x/1/work"})))
    backend.reset()
    backend.create_queue("work", {})
    queues.put_back(ACCOUNT, "http://x/1/work", saved["Work"])
    assert [each.body for each in backend.receive_message("work", 10, 0, 30)] == ["waits"]
    assert [each.body for each in backend.queues["work"]._messages] == ["taken", "waits"]
    assert backend.queues["work"]._messages[0].approximate_receive_count == received.approximate_receive_count


def test_a_client_that_has_gone_receives_no_message(backend, monkeypatch):
    """A waiting request whose client has closed the connection leaves messages to others.

    Otherwise a task sent within the wait time after the end of a worker would be lost until the visibility timeout.
    """
    backend.send_message("work", "task")
    server, client = socket.socketpair()
    with server:
        monkeypatch.setattr(connections.current, "client", server)
        client.close()
        assert backend.receive_message("work", 1, 10, 30) == []
    assert backend.receive_message("work", 1, 0, 30) == []  # closed on this side
    server, client = socket.socketpair()
    with server, client:
        monkeypatch.setattr(connections.current, "client", server)
        assert [each.body for each in backend.receive_message("work", 1, 0, 30)] == ["task"]


def test_receiving_from_an_empty_queue_ends_after_the_wait_time(backend):
    """An empty queue returns no message after the wait time."""
    assert backend.receive_message("work", 1, 0, 30) == []
