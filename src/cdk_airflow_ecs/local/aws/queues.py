"""SQS patches for moto: no duplicated or lost messages, and messages saved between runs."""

import time
from collections.abc import Mapping
from typing import Any

from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

from . import connections
from .account import Account

# Saved attributes of a message, without the receipt handle, because each receipt creates a new one.
_KEPT = (
    "message_attributes", "sent_timestamp", "approximate_first_receive_timestamp", "approximate_receive_count",
    "deduplication_id", "group_id", "sequence_number", "visible_at", "delayed_until",
)  # fmt: skip


def one_at_a_time() -> None:
    """Serialize receiving and deleting of messages; otherwise moto duplicates or loses some."""
    receive, delete = SQSBackend.receive_message, Queue.delete_message

    def receive_message(  # noqa: PLR0917  # moto's signature
        self: SQSBackend,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Message]:
        queue, end = self.get_queue(queue_name), time.monotonic() + (wait_seconds_timeout or 0)
        while True:
            if connections.is_closed():  # by a worker that has stopped; it would lose the message
                return []
            with queue._messages_lock:
                found = receive(self, queue_name, count, 0, visibility_timeout, message_attribute_names)
            if found or time.monotonic() >= end:
                return found
            queue.wait_for_messages(1)

    def delete_message(self: Queue, receipt_handle: str) -> None:
        with self._messages_lock:
            delete(self, receipt_handle)

    SQSBackend.receive_message, Queue.delete_message = receive_message, delete_message


def where_tasks_are(account: Account) -> None:
    """Create queue URLs with the API address that tasks can reach, because Celery sends messages to the queue URL."""
    Queue.url = lambda self, request_url: f"{account.task_url}/{self.account_id}/{self.name}"


def messages(account: Account, queues: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Return the messages of *queues* (logical id to URL), including received messages that are not deleted."""
    return {name: [_described(message) for message in _queue(account, url)._messages] for name, url in queues.items()}


def put_back(account: Account, queue: str, held: list[dict[str, Any]]) -> None:
    """Restore the messages that :func:`messages` returned for a queue, with their visibility."""
    for each in held:
        message = Message(each["id"], each["body"], each["system_attributes"])
        for name in _KEPT:
            setattr(message, name, each[name])
        with _queue(account, queue)._messages_lock:
            _queue(account, queue)._messages.append(message)


def _described(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in ("id", "body", "system_attributes", *_KEPT)}


def _queue(account: Account, url: str) -> Queue:
    return sqs_backends[account.id][account.region].queues[url.rsplit("/", maxsplit=1)[-1]]
