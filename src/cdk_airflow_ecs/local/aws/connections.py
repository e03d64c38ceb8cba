"""The client connection of the request that a thread handles."""

import socket
import threading


class _Current(threading.local):
    client: socket.socket | None = None


current = _Current()


def is_closed() -> bool:
    """Return whether the client has closed the connection, for example because its process ended."""
    if current.client is None:
        return False
    try:
        return current.client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:  # open, without data
        return False
    except OSError:
        return True
