"""Copies container output to the CloudWatch log streams of the template."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_PACE: Final = 1.0  # seconds
_BATCH: Final = 1000  # lines; the API accepts 10,000
_LONGEST: Final = 200_000  # characters of one event; the API accepts 262,144 bytes


@dataclass
class _Log:
    file: Path
    group: str
    stream: str
    position: int = 0
    made: bool = False


@dataclass
class Shipping:
    """Copies new lines of log files to CloudWatch log streams."""

    client: Callable[[], Any]
    _logs: list[_Log] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def add(self, file: Path, group: str, stream: str) -> None:
        """Copy a log file from now on."""
        self._logs.append(_Log(file, group, stream))

    def start(self) -> None:
        """Start copying in a background thread."""
        threading.Thread(target=self._follow, name="shipping", daemon=True).start()

    def stop(self) -> None:
        """Stop copying."""
        self._over.set()

    def _follow(self) -> None:
        while not self._over.wait(_PACE):
            for log in list(self._logs):
                with suppress(Exception):  # for example a deleted log group
                    self._ship(log)

    def _ship(self, log: _Log) -> None:
        if not log.file.exists() or log.file.stat().st_size == log.position:
            return
        with log.file.open("rb") as file:
            file.seek(log.position)
            read = file.read(1 << 20)
        whole = read.rfind(b"\n") + 1
        if not whole:
            return
        client = self.client()
        if not log.made:
            with suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_stream(logGroupName=log.group, logStreamName=log.stream)
            log.made = True
        stamp = int(time.time() * 1000)
        lines = read[:whole].decode(errors="replace").splitlines()
        events = [{"timestamp": stamp, "message": line[:_LONGEST]} for line in lines if line]
        for first in range(0, len(events), _BATCH):
            client.put_log_events(
                logGroupName=log.group, logStreamName=log.stream, logEvents=events[first : first + _BATCH]
            )
        log.position += whole
