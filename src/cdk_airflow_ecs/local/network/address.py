"""The network address of a task."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

_Opener = Callable[[tuple[str, int], float], socket.socket]


def _connect(address: tuple[str, int], seconds: float) -> socket.socket:
    return socket.create_connection(address, seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAddress:
    """The network address of a task.

    Args:
        ip: IP address at which other tasks reach the task.
        hostname: host name inside the task.
        command_prefix: words that precede each command of the task, including health checks.
        opener: connects this process to an address in the task's network.
    """

    name: str
    ip: str
    hostname: str
    command_prefix: list[str] = field(default_factory=list)
    opener: _Opener = field(default=_connect, compare=False, repr=False)

    def connect(self, port: int, seconds: float = 5) -> socket.socket:
        """Connect to a port of the task, or raise OSError."""
        return self.opener((self.ip, port), seconds)
