"""Where one task lives."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

_Opener = Callable[[tuple[str, int], float], socket.socket]


def _connect(address: tuple[str, int], seconds: float) -> socket.socket:
    return socket.create_connection(address, seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAddress:
    """Where one task lives.

    Args:
        name: what :meth:`Addresses.add` was given.
        ip: its address; every other task reaches it there.
        hostname: what its processes are told.
        command_prefix: goes before each command of the task, its health checks included.
        opener: connects this process to an address of the task's network.
    """

    name: str
    ip: str
    hostname: str
    command_prefix: list[str] = field(default_factory=list)
    opener: _Opener = field(default=_connect, compare=False, repr=False)

    def connect(self, port: int, seconds: float = 5) -> socket.socket:
        """Connect to a port of the task.

        Raises:
            OSError: if nothing answers.
        """
        return self.opener((self.ip, port), seconds)
