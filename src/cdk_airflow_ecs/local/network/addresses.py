"""Task addresses: in network namespaces if the machine allows it, else on the loopback.

Namespaces use 198.18.0.0/15, which is reserved for tests (RFC 2544) and therefore unused in office, home and VPN
networks. The bridge that connects them is in another namespace, without interface or route to the machine, so other
users and the local network cannot reach tasks. This process opens its sockets for tasks in that namespace.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from cdk_airflow_ecs.local.network.address import TaskAddress
from cdk_airflow_ecs.local.network.loopback import Loopback
from cdk_airflow_ecs.local.network.namespaces import Namespaces, NotAllowed
from cdk_airflow_ecs.local.refusal import Refusal


class Network(Protocol):
    """Interface of the two kinds of network: namespaces and loopback."""

    isolated: bool
    host: str
    hub: str
    python_path: str
    metadata_url: str

    def add(self, name: str) -> TaskAddress: ...
    def release(self, task: TaskAddress) -> None: ...
    def publish(self, names: Mapping[str, Sequence[str]]) -> None: ...
    def metadata(self) -> socket.socket: ...
    def inside(self, port: int) -> socket.socket | None: ...
    def connect(self, address: tuple[str, int], seconds: float) -> socket.socket: ...
    def close(self) -> None: ...


class Addresses:
    """Addresses and DNS names of one run; thread-safe.

    Attributes:
        isolated: whether each task has its own network namespace.
        reason: why tasks have no network namespaces.
        host: address at which tasks reach servers of this process.
        hub: namespace with the bridge that connects all tasks; empty on a shared loopback.
        python_path: folder with a `sitecustomize.py` for tasks on a shared loopback, else empty.
        metadata_url: URL of the metadata endpoint, if it is not ECS's.
    """

    def __init__(self, network: Network, reason: str = "") -> None:
        """Use :meth:`open` instead."""
        self._network = network
        self.reason = reason
        self.isolated = network.isolated
        self.host = network.host
        self.hub = network.hub
        self.python_path = network.python_path
        self.metadata_url = network.metadata_url
        self._names: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, *, isolated: bool | None = None) -> Addresses:
        """Reserve a number for this run, and remove what a killed run with that number left.

        Args:
            isolated: True uses namespaces and raises a Refusal if they are not allowed; False uses the loopback; None
                uses namespaces if they are allowed.
        """
        if isolated is False:
            return cls(Loopback(), "requested")
        try:
            return cls(Namespaces.open())
        except NotAllowed as error:
            if isolated:
                raise Refusal(f"network namespaces are not allowed: {error}") from error
            network = Loopback()
            return cls(network, str(error))

    def add(self, name: str) -> TaskAddress:
        """Allocate an address for a task."""
        with self._lock:
            task = self._network.add(name)
            self._network.publish(self._names)
        return task

    def release(self, task: TaskAddress) -> None:
        """Release a task's address, and kill the processes left in its namespace."""
        with self._lock:
            self._network.release(task)

    def point(self, name: str, ips: Sequence[str]) -> None:
        """Set the IP addresses of a DNS name for all tasks; an empty list removes the name."""
        with self._lock:
            if ips:
                self._names[name] = tuple(ips)
            else:
                self._names.pop(name, None)
            self._network.publish(self._names)

    def resolve(self, text: str) -> str:
        """Replace DNS names by addresses in a task's text; only for a shared loopback, which has no name resolution."""
        with self._lock:
            names = dict(self._names)
        if self.isolated or not names:
            return text
        longest = sorted(names, key=len, reverse=True)
        pattern = rf"(?<![\w.-])({'|'.join(map(re.escape, longest))})(?![\w-]|\.\w)"
        return re.sub(pattern, lambda match: names[match[1]][0], text)

    def metadata(self) -> socket.socket:
        """Return a listening socket for the agent's endpoints."""
        listening = self._network.metadata()
        self.metadata_url = self._network.metadata_url
        return listening

    def inside(self, port: int) -> socket.socket | None:
        """Return a listening socket that only tasks can reach; None with a shared loopback."""
        return self._network.inside(port)

    def connect(self, address: tuple[str, int], seconds: float) -> socket.socket:
        """Connect this process to a port of a task, or raise OSError."""
        return self._network.connect(address, seconds)

    def close(self) -> None:
        """Remove all namespaces and interfaces of this run."""
        with self._lock:
            self._network.close()


__all__ = ["Addresses"]
