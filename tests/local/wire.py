"""Records every connection between the tasks of a local cluster.

A packet socket at the bridge of all namespaces receives the SYN and SYN-ACK of each TCP connection and every UDP
packet. Client processes are read from /proc.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")
_NAMESPACES, _LOCKS = Path("/run/netns"), Path("/run/airflow-ecs")
_EVERYTHING, _ATTACH_FILTER, _CLONE_NEWNET = 3, 26, 0x40000000  # linux: ETH_P_ALL, SO_ATTACH_FILTER
_STATISTICS = (263, 6, 8)  # SOL_PACKET, PACKET_STATISTICS, size of the result
_SYN, _ACK = 0x02, 0x10
_TRIES = 100  # connections of a flow after which its client process is no longer searched for immediately
# The BPF program of "ip and (udp or tcp[13] & 2 != 0)": code, jump if true, jump if false, value.
_FILTER = (
    (0x28, 0, 0, 0xFFFFF000),  # the frame's protocol
    (0x15, 0, 6, 0x0800),
    (0x30, 0, 0, 9),  # the IP protocol
    (0x15, 0, 3, 6),
    (0xB1, 0, 0, 0),  # the header's length
    (0x50, 0, 0, 13),  # the flags
    (0x45, 2, 1, _SYN),
    (0x15, 1, 0, 17),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 128),
)


@dataclass(frozen=True, order=True)
class Flow:
    """All connections from one address to a port of another; *protocol* is "tcp" or "udp"."""

    source: str
    target: str
    port: int
    protocol: str = "tcp"


@dataclass(frozen=True)
class Packet:
    """A packet: its flow, its connection in the flow, and whether it is the server's SYN-ACK."""

    flow: Flow
    one: tuple[int, int]
    accepted: bool


def parse(packet: bytes) -> Packet:
    """Parse a packet, which begins with its IPv4 header."""
    head = (packet[0] & 15) * 4
    source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    from_port, to_port = struct.unpack_from("!HH", packet, head)
    if packet[9] == socket.IPPROTO_UDP:
        return Packet(Flow(source, target, to_port, "udp"), (from_port, *struct.unpack_from("!H", packet, 4)), False)
    (sequence,) = struct.unpack_from("!I", packet, head + 4)
    if packet[head + 13] & _ACK:
        return Packet(Flow(target, source, from_port), (to_port, sequence), True)
    return Packet(Flow(source, target, to_port), (from_port, sequence), False)


@dataclass(frozen=True)
class Socket:
    """A socket in /proc/net/tcp or tcp6. The remote port is 0 without a peer, the inode is 0 without a process."""

    local: tuple[str, int]
    remote: tuple[str, int]
    inode: int


def sockets(text: str) -> Iterator[Socket]:
    """Parse /proc/net/tcp or tcp6; skip pure IPv6 connections, but not sockets on all addresses."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        ends = []
        for end in fields[1:3]:
            number, _, port = end.partition(":")
            if len(number) > 8 and set(number[:24]) != {"0"} and number[:24] != "0000000000000000FFFF0000":
                break
            ends.append((socket.inet_ntoa(bytes.fromhex(number[-8:])[::-1]), int(port, 16)))
        else:
            yield Socket(ends[0], ends[1], int(fields[9]))


def program(words: list[str]) -> str:
    """Return a short process name: the command line without interpreter, folder, options and numbers.

    Examples:
        >>> program(["/a/bin/python3.12", "/a/bin/airflow", "celery", "worker", "--queues", "default"])
        'airflow celery worker'
        >>> program(["[celeryd: celery@ip-198-18-1-17.ec2.internal:MainProcess]"])
        'celeryd'
        >>> program(["python", "-c", "import socket"])
        'python -c'
    """
    words = " ".join(words).replace("[", " ").replace("]", " ").split()
    if words and Path(words[0]).name.startswith("python"):
        if "-c" in words[1:4]:
            return "python -c"
        words = [word for word in words[1:] if not word.startswith("-")]
    parts = [Path(words[0]).name.rstrip(":")] if words else ["?"]
    for word in words[1:3]:
        if not re.fullmatch(r"[a-z][a-z_-]*:?", word):
            break
        parts.append(word.rstrip(":"))
    return " ".join(parts)


@dataclass
class Wire(AbstractContextManager):
    """A recorder that starts as soon as the local cluster of this state directory has a network."""

    state: Path
    attempts: dict[Flow, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    accepted: dict[Flow, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    clients: dict[tuple[str, str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    servers: dict[tuple[str, int], str] = field(default_factory=dict)
    number: int = 0
    _lost: int = 0
    opened: socket.socket | None = None
    _pids: dict[str, list[int]] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Wire:
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._look)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def this_machine(self) -> str:
        """Return the address in the tasks' network that load balancer, AWS API and local runner use."""
        return f"198.18.{self.number}.1"

    def losses(self) -> int:
        """Return the number of packets that the kernel lost."""
        assert self.opened is not None, "no run was found"
        self._lost += struct.unpack("II", self.opened.getsockopt(*_STATISTICS))[1]
        return self._lost

    def _listen(self) -> None:
        while not self._over.is_set() and not (found := number_of(self.state)):
            time.sleep(0.1)
        if self._over.is_set():
            return
        self.number = found
        self.opened = within(f"airflow-ecs-{found}-hub", _packets)
        with self.opened as opened:
            while not self._over.is_set():
                with suppress(TimeoutError):
                    one = parse(opened.recv(256))
                    (self.accepted if one.accepted else self.attempts)[one.flow].add(one.one)
                    self._catch(one)

    def _catch(self, one: Packet) -> None:
        """Find the client process of an open connection, unless one of this flow is already known."""
        key = one.flow.source, one.flow.target, one.flow.port
        pids = self._pids.get(one.flow.source)
        if pids and not self.clients.get(key) and len(self.attempts[one.flow]) < _TRIES:
            local = one.flow.source, one.one[0]
            inodes = {each.inode for each in _sockets_of(pids[0]) if each.local == local}
            names = {name for inode, name in _holders(pids) if inode in inodes} if inodes - {0} else set()
            if names:
                self.clients[key] |= names

    def _look(self) -> None:
        known: dict[int, str] = {}
        while not self._over.wait(1):
            if self.number:
                self._pids = dict(_processes(f"airflow-ecs-{self.number}-", f"198.18.{self.number}."))
                for ip, pids in self._pids.items():
                    self._look_into(ip, pids, known)

    def _look_into(self, ip: str, pids: list[int], known: dict[int, str]) -> None:
        found = _sockets_of(pids[0])
        if any(each.inode and each.inode not in known for each in found):
            known.update(_holders(pids))
        listening = {each.local[1]: known[each.inode] for each in found if not each.remote[1] and each.inode in known}
        self.servers |= {(ip, port): name for port, name in listening.items()}
        for each in found:
            if each.remote[1] and each.inode in known and each.local[1] not in listening:
                self.clients[(each.local[0], *each.remote)].add(known[each.inode])


def number_of(state: Path) -> int:
    """Return the run number of the process, which holds the number's lock file; 0 if it has none."""

    def held() -> set[int]:
        pid = json.loads((state / "run.json").read_text())["pid"]
        found = set()
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # the file was closed
                file = Path(os.readlink(link))
                found |= {int(file.stem)} if file.parent == _LOCKS else set()
        return found

    with suppress(OSError, ValueError, KeyError):
        once = held()
        time.sleep(0.2)  # wait, because a run briefly holds other locks while it searches for a free number
        for number in once & held():
            if (_NAMESPACES / f"airflow-ecs-{number}-hub").exists():
                return number
    return 0


def within(namespace: str, action: Callable[[], _T]) -> _T:
    """Call *action* in a thread inside the namespace; sockets that it creates stay there."""
    libc = ctypes.CDLL(None, use_errno=True)
    results: list[_T] = []

    def run() -> None:
        with open(_NAMESPACES / namespace) as file:
            if libc.setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        results.append(action())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def _packets() -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERYTHING))
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _FILTER))
    made.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", len(_FILTER), ctypes.addressof(program)))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.settimeout(0.5)
    return made


def _processes(prefix: str, network: str) -> Iterator[tuple[str, list[int]]]:
    """Yield each task's address and pids; the last number of the address is in the namespace's name."""
    spaces = {file.stat().st_ino: file.name for file in _NAMESPACES.glob(f"{prefix}*[0-9]")}
    found: dict[str, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (name := spaces.get((folder / "ns/net").stat().st_ino)) is not None:
                found[network + name.removeprefix(prefix)].append(int(folder.name))
    yield from found.items()


def _sockets_of(pid: int) -> list[Socket]:
    found: list[Socket] = []
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            found += sockets(Path(f"/proc/{pid}/net/{name}").read_text())
    return found


def _holders(pids: list[int]) -> Iterator[tuple[int, str]]:
    for pid in pids:
        with suppress(OSError):
            name = program(Path(f"/proc/{pid}/cmdline").read_text().split("\0"))
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    text = os.readlink(link)
                    if text.startswith("socket:["):
                        yield int(text[8:-1]), name
