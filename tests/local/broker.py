"""Records the commands that clients send to a local Redis, with Redis's command MONITOR."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections import Counter
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from wire import within

# A line is, for example: +1339518083.107412 [0 198.18.7.11:60866] "BRPOP" "default" …
_LINE = re.compile(r'\+[\d.]+ \[(\d+) (\S+):\d+\] "(\w+)"')


def read(line: str) -> tuple[str, int, str] | None:
    """Return client, database and command from a line of MONITOR's output, or None for other lines.

    Examples:
        >>> read('+1339518083.107412 [1 198.18.7.11:60866] "set" "celery-task-meta-1" "{}"')
        ('198.18.7.11', 1, 'SET')
    """
    found = _LINE.match(line)
    return (found[2], int(found[1]), found[3].upper()) if found else None


@dataclass
class Monitor(AbstractContextManager):
    """A monitor of the broker at *address*; *state* is the state directory of its cluster."""

    state: Path
    address: str
    done: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Monitor:
        saved = json.loads((self.state / "secrets.json").read_text())
        (password,) = (text for name, text in saved.items() if "BrokerToken" in name)
        context = ssl.create_default_context(cafile=str(self.state / "authority" / "ca.crt"))
        number = self.address.split(".")[2]  # the number of the run's network
        plain = within(f"airflow-ecs-{number}-hub", socket.socket)
        plain.settimeout(10)
        plain.connect((self.address, 6379))
        client = context.wrap_socket(plain, server_hostname=self.address)
        client.sendall(f"AUTH {password}\r\nMONITOR\r\n".encode())
        client.settimeout(0.5)
        self._thread = threading.Thread(target=self._follow, args=(client,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()

    def _follow(self, client: socket.socket) -> None:
        text = b""
        with client, suppress(ConnectionError):
            while not self._over.is_set():
                with suppress(TimeoutError):
                    if not (more := client.recv(1 << 16)):
                        return
                    *lines, text = (text + more).split(b"\r\n")
                    self.done.update(filter(None, (read(line.decode(errors="replace")) for line in lines)))
