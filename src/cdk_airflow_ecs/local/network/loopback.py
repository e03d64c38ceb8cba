"""Loopback addresses, for machines that do not allow network namespaces."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cdk_airflow_ecs.local.network.address import TaskAddress
from cdk_airflow_ecs.local.network.run_number import Number

_LOOPBACK: Final = "127.0.0.1"


class Loopback:
    """Task addresses from 127.0.0.0/8, which need no rights; servers on all addresses need different ports."""

    isolated = False
    host = _LOOPBACK
    hub = ""
    python_path = str(Path(__file__).with_name("loopback_only"))

    def __init__(self) -> None:
        self._number = Number.take(_folder())
        self._used: set[int] = set()
        self._names: Mapping[str, Sequence[str]] = {}
        self.metadata_url = ""

    def add(self, name: str) -> TaskAddress:
        """See :class:`Addresses`."""
        free = next(number for number in range(2, 255) if number not in self._used)
        # The second number of the address differs by user, the third by run.
        ip = f"127.{64 + os.getuid() % 128}.{self._number.value}.{free}"
        if not _is_ours(ip):
            ip = _LOOPBACK
        else:
            self._used.add(free)
        return TaskAddress(name=name, ip=ip, hostname=socket.gethostname())

    def release(self, task: TaskAddress) -> None:
        """See :class:`Addresses`."""
        self._used.discard(int(task.ip.rpartition(".")[2]))

    def publish(self, names: Mapping[str, Sequence[str]]) -> None:
        """Store the names, which :meth:`Addresses.resolve` replaces in the tasks' texts."""
        self._names = names

    def metadata(self) -> socket.socket:
        """See :class:`Addresses`."""
        listening = socket.create_server((_LOOPBACK, 0))
        self.metadata_url = f"http://{_LOOPBACK}:{listening.getsockname()[1]}"
        return listening

    def inside(self, port: int) -> socket.socket | None:
        """See :class:`Addresses`."""
        del port
        return None

    def connect(self, address: tuple[str, int], seconds: float) -> socket.socket:
        """Connect to 127.0.0.1, to which `sitecustomize.py` restricts servers, else to the task's own address."""
        try:
            return socket.create_connection((_LOOPBACK, address[1]), seconds)
        except ConnectionRefusedError:
            return socket.create_connection(address, seconds)

    def close(self) -> None:
        """See :class:`Addresses`."""
        self._number.release()


def _folder() -> Path:
    """Return the folder of this user's run locks; it is not in /tmp, where other users could create it first."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "airflow-ecs" / "runs"


def _is_ours(ip: str) -> bool:
    """Return whether a server can listen at this address; by default, macOS has only 127.0.0.1."""
    try:
        with socket.create_server((ip, 0)):
            return True
    except OSError:
        return False
