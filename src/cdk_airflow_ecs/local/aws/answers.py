"""The small endpoint behind the `ResponseURL`s of custom resources: who waits, and what came."""

import json
import threading
import time
import uuid


class Answers:
    """Answers of functions to CloudFormation.

    Attributes:
        running: How many functions run now.
    """

    def __init__(self) -> None:
        self.running = 0
        self._waiting: dict[str, threading.Event] = {}
        self._came: dict[str, dict] = {}

    def expect(self) -> str:
        """Makes a token under which one answer may come."""
        token = uuid.uuid4().hex
        self._waiting[token] = threading.Event()
        return token

    def is_expected(self, token: str) -> bool:
        """Whether a function was given the token and has not answered: nobody else has it."""
        return token in self._waiting and token not in self._came

    def take(self, token: str, body: bytes) -> None:
        """Keeps the answer and wakes who waits."""
        self._came[token] = json.loads(body)
        self._waiting[token].set()

    def wait(self, token: str, seconds: float) -> dict | None:
        """The answer, or nothing if none came in time or no function is left that could give it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._waiting[token].wait(0.5):
            if not self.running:
                break
        return self._came.get(token)
