"""Keeps the servers of a task on the loopback, where tasks have no network of their own.

Airflow's servers listen on all addresses of their container. Here that would be all addresses of this machine, and its
log server can be told nothing else. Python runs this file at its start, because its folder is on PYTHONPATH.
"""

import socket
import sys
from typing import Any

_ANY = ("", "0.0.0.0", "::")  # noqa: S104  # the addresses that are replaced
_bind = socket.socket.bind


def _loopback(made: socket.socket) -> str:
    if made.family == socket.AF_INET:
        return "127.0.0.1"
    only_6 = made.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    return "::1" if only_6 else "::ffff:127.0.0.1"


def bind(self: socket.socket, address: Any) -> None:
    """Bind to the loopback where a server asks for all addresses."""
    is_tcp = self.family in (socket.AF_INET, socket.AF_INET6) and self.type == socket.SOCK_STREAM
    if is_tcp and address[0] in _ANY and address[1]:
        address = (_loopback(self), *address[1:])
    _bind(self, address)


socket.socket.bind = bind  # type: ignore[method-assign, assignment]
# What a task calls itself is where the others look for its log server.
socket.gethostname = lambda: "localhost"
# It opens its sockets in C; without it uvicorn takes asyncio, which opens them above.
sys.modules["uvloop"] = None  # type: ignore[assignment]
