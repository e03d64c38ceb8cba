"""Task addresses: in network namespaces if the machine allows it, else on the loopback.

Namespaces use 198.18.0.0/15, reserved for tests (RFC 2544), which collides with no office, home or VPN network.
Their bridge is in a namespace without interface or route to the machine, so other users and the local network cannot
reach it; this process opens its sockets inside.
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
    """Interface of the two kinds of network."""

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
        reason: why not.
        host: address at which tasks reach servers of this process.
        hub: namespace with the bridge of all tasks, or empty.
        python_path: folder with a `sitecustomize.py` for the tasks, or empty.
        metadata_url: URL of the :meth:`metadata` socket.
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
        """Reserve a run number, and clean up after a killed run with that number.

        Args:
            isolated: True for namespaces, or raise a Refusal; False for loopback; by default namespaces if allowed.
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
        """Release an address, and kill the processes left in its namespace."""
        with self._lock:
            self._network.release(task)

    def point(self, name: str, ips: Sequence[str]) -> None:
        """Set the addresses of a DNS name for all tasks; none removes the name."""
        with self._lock:
            if ips:
                self._names[name] = tuple(ips)
            else:
                self._names.pop(name, None)
            self._network.publish(self._names)

    def resolve(self, text: str) -> str:
        """Replace DNS names by addresses in a text for a task; with namespaces tasks resolve names."""
        with self._lock:
            names = dict(self._names)
        if self.isolated or not names:
            return text
        longest = sorted(names, key=len, reverse=True)
        pattern = rf"(?<![\w.-])({'|'.join(map(re.escape, longest))})(?![\w-]|\.\w)"
        return re.sub(pattern, lambda match: names[match[1]][0], text)

    def metadata(self) -> socket.socket:
        """Return the listening socket of the agent's endpoints."""
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
