"""Restricts the servers of tasks without network namespaces to the loopback.

Airflow's servers listen on all addresses of the machine, and its log server has no option to change that. Python runs
this file at startup, because the file's folder is on PYTHONPATH.
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
    """Bind to the loopback instead of all addresses."""
    is_tcp = self.family in (socket.AF_INET, socket.AF_INET6) and self.type == socket.SOCK_STREAM
    if is_tcp and address[0] in _ANY and address[1]:
        address = (_loopback(self), *address[1:])
    _bind(self, address)


socket.socket.bind = bind  # type: ignore[method-assign, assignment]
# Airflow reaches a task's log server by this host name.
socket.gethostname = lambda: "localhost"
# uvloop would bind in C; without uvloop, uvicorn uses asyncio, which calls `bind` above.
sys.modules["uvloop"] = None  # type: ignore[assignment]
