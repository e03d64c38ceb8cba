"""Addresses of the loopback, for machines where nobody may make networks."""

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
    """Addresses of 127.0.0.0/8: no rights needed, but a port that servers open on all addresses exists once."""

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
        # Users differ in the second number, runs of one user in the third.
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
        """See :class:`Addresses`: here names are replaced in what tasks are given."""
        self._names = names

    def metadata(self) -> socket.socket:
        """See :class:`Addresses`."""
        listening = socket.create_server((_LOOPBACK, 0))
        self.metadata_url = f"http://{_LOOPBACK}:{listening.getsockname()[1]}"
        return listening

    def inside(self, port: int) -> socket.socket | None:
        """See :class:`Addresses`: the loopback is shared."""
        del port
        return None

    def connect(self, address: tuple[str, int], seconds: float) -> socket.socket:
        """See :class:`Addresses`. Servers that ask for all addresses are given 127.0.0.1, see `sitecustomize.py`."""
        try:
            return socket.create_connection((_LOOPBACK, address[1]), seconds)
        except ConnectionRefusedError:
            return socket.create_connection(address, seconds)

    def close(self) -> None:
        """See :class:`Addresses`."""
        self._number.release()


def _folder() -> Path:
    """Where the runs of this user keep their locks: not in /tmp, where others could make it first."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "airflow-ecs" / "runs"


def _is_ours(ip: str) -> bool:
    """Whether a server may listen there: on macOS only 127.0.0.1 exists."""
    try:
        with socket.create_server((ip, 0)):
            return True
    except OSError:
        return False
