"""An address for each task: a network namespace where this machine allows it, a loopback address where not.

The addresses of namespaces are of 198.18.0.0/15, which is kept for tests inside one network (RFC 2544) and therefore
collides with no office, home or VPN. Their bridge stands in a namespace of its own, which no interface and no route
connects with this machine: other users and the local network cannot reach it. This process opens its sockets inside.
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
    """How tasks are kept apart."""

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
    """The addresses and names of one run. Tasks ask from threads of their own, and wait for each other here.

    Attributes:
        isolated: whether each task has a network of its own.
        reason: if not, why.
        host: the address at which tasks reach servers of this process.
        hub: the namespace that holds the bridge of all tasks; empty if there is none.
        python_path: a folder with a program that Python is to run at its start in each task; empty for none.
        metadata_url: where tasks find what :meth:`metadata` serves.
    """

    def __init__(self, network: Network, reason: str = "") -> None:
        """Prefer :meth:`open`."""
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
        """Take a number that no other run has, and clean up what a killed run left under it.

        Args:
            isolated: True for namespaces, False for loopback. The default tries namespaces.

        Raises:
            Refusal: if namespaces were asked for and are not allowed.
        """
        if isolated is False:
            return cls(Loopback(), "it was asked for")
        try:
            return cls(Namespaces.open())
        except NotAllowed as error:
            if isolated:
                raise Refusal(f"network namespaces are not allowed here: {error}") from error
            network = Loopback()
            return cls(network, str(error))

    def add(self, name: str) -> TaskAddress:
        """Give a task an address, until it is released."""
        with self._lock:
            task = self._network.add(name)
            self._network.publish(self._names)
        return task

    def release(self, task: TaskAddress) -> None:
        """Take the address back; what still runs in its namespace is killed."""
        with self._lock:
            self._network.release(task)

    def point(self, name: str, ips: Sequence[str]) -> None:
        """Say for all tasks, at once, which addresses a DNS name has. None at all removes the name."""
        with self._lock:
            if ips:
                self._names[name] = tuple(ips)
            else:
                self._names.pop(name, None)
            self._network.publish(self._names)

    def resolve(self, text: str) -> str:
        """Replace names by addresses in a text that tasks are given. In namespaces they look names up themselves."""
        with self._lock:
            names = dict(self._names)
        if self.isolated or not names:
            return text
        longest = sorted(names, key=len, reverse=True)
        pattern = rf"(?<![\w.-])({'|'.join(map(re.escape, longest))})(?![\w-]|\.\w)"
        return re.sub(pattern, lambda match: names[match[1]][0], text)

    def metadata(self) -> socket.socket:
        """Make the socket of the endpoints that ECS gives tasks, listening."""
        listening = self._network.metadata()
        self.metadata_url = self._network.metadata_url
        return listening

    def inside(self, port: int) -> socket.socket | None:
        """Make a socket that listens on a port where only tasks reach it; None where they share the loopback."""
        return self._network.inside(port)

    def connect(self, address: tuple[str, int], seconds: float) -> socket.socket:
        """Connect this process to a port of a task.

        Raises:
            OSError: if nothing answers.
        """
        return self._network.connect(address, seconds)

    def close(self) -> None:
        """Remove every namespace and interface of this run."""
        with self._lock:
            self._network.close()


__all__ = ["Addresses"]
