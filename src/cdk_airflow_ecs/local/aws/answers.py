"""The endpoint behind the `ResponseURL` of custom resources."""

import json
import threading
import time
import uuid


class Answers:
    """Responses of custom resource functions; *running* is the number of running functions."""

    def __init__(self) -> None:
        self.running = 0
        self._waiting: dict[str, threading.Event] = {}
        self._came: dict[str, dict] = {}

    def expect(self) -> str:
        """Return a new token; a function's response must have it."""
        token = uuid.uuid4().hex
        self._waiting[token] = threading.Event()
        return token

    def is_expected(self, token: str) -> bool:
        """Return whether the response with this token is still missing."""
        return token in self._waiting and token not in self._came

    def take(self, token: str, body: bytes) -> None:
        """Store a response."""
        self._came[token] = json.loads(body)
        self._waiting[token].set()

    def wait(self, token: str, seconds: float) -> dict | None:
        """Return the response; None after a timeout or if no function is running."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._waiting[token].wait(0.5):
            if not self.running:
                break
        return self._came.get(token)
