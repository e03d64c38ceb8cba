"""Network namespaces with iproute2: a hub with a bridge, and one namespace per task."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from cdk_airflow_ecs.local.network.address import TaskAddress
from cdk_airflow_ecs.local.network.run_number import Number
from cdk_airflow_ecs.local.refusal import Refusal

# ECS's address of credentials and metadata; SDKs accept plain HTTP for credentials only from there and localhost.
METADATA_HOST: Final = "169.254.170.2"
_LOCKS: Final = Path("/run/airflow-ecs")
_MOUNTS: Final = Path("/run/netns")
_FILES: Final = Path("/etc/netns")
_CLONE_NEWNET: Final = 0x40000000
# A shell script that sets the host name ($0), then executes the command ($@).
_NAMED: Final = 'echo "$0" > /proc/sys/kernel/hostname && exec "$@"'
_T = TypeVar("_T")


class NotAllowed(Exception):
    """Raised if this machine does not allow network namespaces; the message has the reason."""


class Namespaces:
    """The network of one run, with a namespace per task."""

    isolated = True
    python_path = ""
    metadata_url = f"http://{METADATA_HOST}"

    def __init__(self, number: Number) -> None:
        """Use :meth:`open` instead."""
        self._number = number
        self._prefix = f"airflow-ecs-{number.value}-"
        self.hub = f"{self._prefix}hub"
        self._tasks: dict[str, TaskAddress] = {}
        self._ever = 9
        self.host = self._ip(1)

    @classmethod
    def open(cls) -> Namespaces:
        """Reserve a free run number and create the hub, or raise NotAllowed."""
        if os.geteuid() != 0:
            raise NotAllowed("creating network namespaces requires root")
        for program in ("ip", "unshare"):
            if shutil.which(program) is None:
                raise NotAllowed(f"`{program}` is not installed (packages iproute2 and util-linux)")
        cls._sweep()
        network = cls(Number.take(_LOCKS, _is_unused))
        try:
            network._build()
            network._probe()
        except (OSError, subprocess.CalledProcessError) as error:
            network.close()
            reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
            raise NotAllowed(reason) from error
        return network

    def add(self, name: str) -> TaskAddress:
        """See :class:`Addresses`."""
        # Do not reuse an address that was just released: other tasks may still connect to it.
        used = {int(task.ip.rpartition(".")[2]) for task in self._tasks.values()}
        order = [*range(self._ever + 1, 255), *range(10, self._ever + 1)]
        last = next((number for number in order if number not in used), None)
        if last is None:
            raise Refusal("a local cluster can run at most 245 tasks, which are running already")
        self._ever = last
        namespace, ip = f"{self._prefix}{last}", self._ip(last)
        hostname = f"ip-{ip.replace('.', '-')}.ec2.internal"
        self._make(namespace, f"p{last}", ip)
        _ip(f"-n {namespace} route add {METADATA_HOST}/32 dev eth0")
        (_FILES / namespace).mkdir(parents=True, exist_ok=True)
        prefix = ["ip", "netns", "exec", namespace, "unshare", "--uts", "sh", "-c", _NAMED, hostname]
        task = TaskAddress(name=name, ip=ip, hostname=hostname, command_prefix=prefix, opener=self.connect)
        self._tasks[namespace] = task
        return task

    def release(self, task: TaskAddress) -> None:
        """See :class:`Addresses`."""
        namespace = f"{self._prefix}{task.ip.rpartition('.')[2]}"
        if self._tasks.pop(namespace, None) is not None:
            _remove(namespace)

    def publish(self, names: Mapping[str, Sequence[str]]) -> None:
        """Overwrite every task's hosts file in place, because running processes would not see a new file."""
        common = "".join(f"{ip}\t{name}\n" for name, ips in names.items() for ip in ips)
        for namespace, task in self._tasks.items():
            own = f"{task.ip}\t{task.hostname} {task.hostname.partition('.')[0]}\n"
            text = f"127.0.0.1\tlocalhost\n::1\tlocalhost\n{own}{common}".encode()
            file = os.open(_FILES / namespace / "hosts", os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.write(file, text)
                os.ftruncate(file, len(text))
            finally:
                os.close(file)

    def metadata(self) -> socket.socket:
        """Create the socket in the hub; it stays usable in this process."""
        return _within(self.hub, lambda: socket.create_server((METADATA_HOST, 80)))

    def inside(self, port: int) -> socket.socket | None:
        """See :class:`Addresses`."""
        return _within(self.hub, lambda: socket.create_server((self.host, port)))

    def connect(self, address: tuple[str, int], seconds: float) -> socket.socket:
        """Connect with a socket that was created in the hub's namespace; it stays usable in this process."""
        made = _within(self.hub, socket.socket)
        try:
            made.settimeout(seconds)
            made.connect(address)
        except OSError:
            made.close()
            raise
        return made

    def close(self) -> None:
        """See :class:`Addresses`."""
        for namespace in _existing(self._prefix):
            _remove(namespace)
        self._tasks.clear()
        self._number.release()

    def _ip(self, last: int) -> str:
        return f"198.18.{self._number.value}.{last}"

    def _build(self) -> None:
        """Create the hub: a namespace whose bridge has the addresses of this process and of the metadata endpoint.

        The hub has no interface to the machine's network. Otherwise computers in the local network or Docker containers
        could reach every task through this machine, which accepts packets for all its addresses and may route them.

        The bridge has a fixed hardware address. By default the address changes whenever a task is added, and then
        tasks cannot reach the metadata endpoint for 20 seconds.
        """
        _remove(self.hub)
        _ip(f"netns add {self.hub}")
        _ip(
            f"-n {self.hub} link add br0 address 02:00:00:00:{self._number.value:02x}:01 type bridge",
            f"-n {self.hub} link set lo up",
            f"-n {self.hub} addr add {self.host}/24 dev br0",
            f"-n {self.hub} addr add {METADATA_HOST}/32 dev br0",
            f"-n {self.hub} link set br0 up",
        )

    def _make(self, namespace: str, port: str, ip: str) -> None:
        _ip(
            f"netns add {namespace}",
            f"-n {self.hub} link add {port} type veth peer name eth0 netns {namespace}",
            f"-n {self.hub} link set {port} master br0 up",
            f"-n {namespace} addr add {ip}/24 dev eth0",
            f"-n {namespace} link set eth0 up",
            f"-n {namespace} link set lo up",
        )

    def _probe(self) -> None:
        """Check that a process in a namespace can set its host name and connect to this process."""
        task = self.add("probe")
        self.publish({})
        code = "import socket;assert socket.gethostbyname(socket.getfqdn()).startswith('198.18.')"
        try:
            server = self.inside(0)
            assert server is not None
            with server:
                reach = f"{code};socket.create_connection({server.getsockname()!r}, 5)"
                command = [*task.command_prefix, "python3", "-ISc", reach]
                subprocess.run(command, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            line = (error.stderr.strip() or "unknown reason").splitlines()[-1]
            raise OSError(f"a process in a namespace cannot connect to this process: {line}") from error
        finally:
            self.release(task)

    @classmethod
    def _sweep(cls) -> None:
        """Remove the namespaces of killed runs, which are those whose run numbers are free."""
        left = {name.split("-")[2] for name in _existing("airflow-ecs-")}
        for number in Number.free(_LOCKS) if left else ():
            if str(number.value) in left:
                cls(number).close()
            number.release()


def _existing(prefix: str) -> list[str]:
    names = {path.name for folder in (_MOUNTS, _FILES) if folder.is_dir() for path in folder.iterdir()}
    return sorted(name for name in names if name.startswith(prefix))


def _is_unused(value: int) -> bool:
    done = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=False)
    return f"198.18.{value}." not in done.stdout


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True, capture_output=True, text=True)


def _remove(namespace: str) -> None:
    done = subprocess.run(
        ["ip", "netns", "pids", namespace],
        capture_output=True,
        text=True,
        check=False,
    )
    for pid in done.stdout.split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue
    if (_MOUNTS / namespace).exists():
        _ip(f"netns del {namespace}")
    shutil.rmtree(_FILES / namespace, ignore_errors=True)


def _within(namespace: str, action: Callable[[], _T]) -> _T:
    libc = ctypes.CDLL(None, use_errno=True)
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        file = os.open(_MOUNTS / namespace, os.O_RDONLY)
        try:
            if libc.setns(file, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            results.append(action())
        except BaseException as error:  # raised again below
            errors.append(error)
        finally:
            os.close(file)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
