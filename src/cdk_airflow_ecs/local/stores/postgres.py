"""PostgreSQL server, installed on the system or embedded (extra `[local]`)."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cdk_airflow_ecs.local.network.address import TaskAddress
from cdk_airflow_ecs.local.network.certificate_authority import Authority
from cdk_airflow_ecs.local.network.tls import start_tls_proxy
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.state import State
from cdk_airflow_ecs.local.stores.postgres_programs import ROOT_DATA, Programs, unprivileged, within_reach

_SUPERUSER: Final = "rdsadmin"
# Faster: data survives the end of the process, but not a power failure.
_SETTINGS: Final = """
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 64MB
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
timezone = 'UTC'
"""


class PostgresServer:
    """One server with persistent data; :meth:`ensure` creates databases and users.

    Args:
        name: unique name of the server within a local cluster.
        address: the only address at which the server listens.
        authority: issues the certificate; if set, clients must use TLS.
        names: DNS names in the certificate.
    """

    def __init__(
        self,
        state: State,
        name: str,
        *,
        address: TaskAddress,
        port: int = 5432,
        authority: Authority | None,
        names: Sequence[str] = (),
        programs: Programs | None = None,
    ) -> None:
        self.address = address
        self.port = port
        self._state = state
        self._name = name
        self._authority = authority
        self.names = tuple(names)
        found = programs or Programs.find()
        self._user = unprivileged() if os.geteuid() == 0 else None
        self._programs = found if self._user is None else within_reach(found, self._user)
        self.kind = f"{self._programs.origin} {self._programs.version}"
        self._data = self._folder() / f"data{self._programs.version.split('.')[0]}"
        self._process: subprocess.Popen[bytes] | None = None
        self._front: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None

    def start(self, seconds: float = 60) -> None:
        """Start the server and wait until it responds; raises a Refusal with the end of its log."""
        if not (self._data / "PG_VERSION").exists():
            self._initialize()
        # A socket path is limited to 107 bytes, and the user chooses the state directory.
        self._sockets = Path(tempfile.mkdtemp(prefix="airflow-ecs-", dir="/tmp"))  # mode 0700
        self._own(self._sockets)
        (self._data / "postgresql.conf").write_text(self._settings())
        self._own(self._data / "postgresql.conf")
        (self._data / "pg_hba.conf").write_text(
            f"local all all scram-sha-256\n{'hostssl' if self._speaks_tls else 'host'} all all all scram-sha-256\n"
        )
        self._process = self._state.processes.start(
            self._name,
            [str(self._programs.folder / "postgres"), "-D", str(self._data)],
            folder=self._data,
            environment={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8" if sys.platform == "linux" else "C"},
            log=self._log,
            prefix=self.address.command_prefix,
            user=self._user,
        )
        if self._authority is not None and not self._programs.has_tls:
            self._front = start_tls_proxy(
                self._state.processes,
                self._name,
                address=self.address,
                port=self.port,
                names=self.names,
                authority=self._authority,
                backend=self._sockets / f".s.PGSQL.{self.port}",
                protocol="postgres",
                log=self._log,
            )
        end = time.monotonic() + seconds
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise Refusal(f"PostgreSQL ({self.kind}) does not start:\n{_tail(self._log)}")
            time.sleep(0.05)

    @property
    def is_running(self) -> bool:
        """Whether all processes of the server are alive."""
        return self._process is not None and all(p is None or p.poll() is None for p in (self._process, self._front))

    def stop(self, seconds: float = 20) -> None:
        """Stop the server as in a planned restart: connections end, committed data is kept."""
        if self._process is not None and self._process.poll() is None:
            # SIGINT is a fast shutdown; after SIGTERM the server would wait for all clients to disconnect.
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._forget()

    def kill(self) -> None:
        """Kill the server, as in a machine failure; committed data is kept."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        self._forget()

    def restart(self) -> None:
        """Stop and start the server."""
        self.stop()
        self.start()

    def ensure(self, database: str, user: str, password: str) -> None:
        """Create a database and its owner if missing, and set the owner's password.

        Like the master user of RDS, the owner may create databases and roles.
        """
        role, base = _identifier(user), _identifier(database)
        exists = self.execute(f"SELECT 1 FROM pg_roles WHERE rolname = {_literal(user)}")  # noqa: S608  # quoted
        verb = "ALTER" if exists else "CREATE"
        self.execute(f"{verb} ROLE {role} LOGIN CREATEDB CREATEROLE PASSWORD {_literal(password)}")
        if not self.execute(f"SELECT 1 FROM pg_database WHERE datname = {_literal(database)}"):  # noqa: S608  # quoted
            self.execute(f"CREATE DATABASE {base} OWNER {role}")

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run a statement as superuser; return the rows, with columns separated by ``|``."""
        ran = self._psql(sql, database)
        if ran.returncode:
            raise RuntimeError(ran.stderr.strip())
        return ran.stdout.strip()

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self._data.parent, ignore_errors=True)

    @property
    def _speaks_tls(self) -> bool:
        return self._authority is not None and self._programs.has_tls

    @property
    def _log(self) -> Path:
        return self._state.folder("logs") / f"{self._name}.log"

    def _folder(self) -> Path:
        if self._user is None:
            return self._state.folder("postgres", self._name)
        ROOT_DATA.mkdir(mode=0o755, parents=True, exist_ok=True)
        _sweep(ROOT_DATA)
        folder = ROOT_DATA / self._state.id
        folder.mkdir(mode=0o711, exist_ok=True)
        _point(folder, self._state.directory)
        found = folder / self._name
        found.mkdir(mode=0o700, exist_ok=True)
        self._own(found)
        return found

    def _own(self, path: Path) -> None:
        path.chmod(0o700 if path.is_dir() else 0o600)
        if self._user is not None:
            shutil.chown(path, self._user, pwd.getpwnam(self._user).pw_gid)

    def _initialize(self) -> None:
        file = self._data.parent / "password"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(self._password)
        self._own(file)
        try:
            ran = subprocess.run(
                [str(self._programs.folder / "initdb"), "-D", str(self._data), "-U", _SUPERUSER, "--no-sync", "-E",
                 "UTF8", "--locale=C", "--auth=scram-sha-256", f"--pwfile={file}"],
                cwd=self._data.parent, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
                **self._identity(),  # type: ignore[call-overload]
            )  # fmt: skip
        finally:
            file.unlink()
        if ran.returncode:
            shutil.rmtree(self._data, ignore_errors=True)
            raise Refusal(f"PostgreSQL ({self.kind}) cannot create its data folder {self._data}:\n{ran.stderr}")

    def _identity(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}

    @property
    def _password(self) -> str:
        return self._state.remember(f"postgres/{self._name}", lambda: secrets.token_urlsafe(24))

    def _settings(self) -> str:
        direct = self._authority is None or self._programs.has_tls
        lines = [
            f"port = {self.port}",
            f"listen_addresses = '{self.address.ip if direct else ''}'",
            f"unix_socket_directories = '{self._sockets}'",
        ]
        if self._speaks_tls and self._authority is not None:
            issued = self._authority.issue([*self.names, self.address.ip, "localhost"])
            for source, name in ((issued.certificate, "server.crt"), (issued.key, "server.key")):
                shutil.copyfile(source, self._data / name)
                self._own(self._data / name)
            lines += ["ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'"]
        return "\n".join(lines) + _SETTINGS

    def _answers(self) -> bool:
        if self._front is not None and not _listens(self.address.ip, self.port):
            return False
        return self._psql("SELECT 1", "postgres").returncode == 0

    def _psql(self, sql: str, database: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._programs.folder / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", str(self._sockets),
             "-p", str(self.port), "-U", _SUPERUSER, "-d", database],
            input=sql, env={"PATH": os.environ["PATH"], "PGPASSWORD": self._password, "PGCONNECT_TIMEOUT": "5"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def _forget(self) -> None:
        for process in (self._front, self._process):
            if process is not None:
                self._state.processes.stop(process)
        self._front = self._process = None
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None


def _point(data: Path, state: Path) -> None:
    """Record a data folder's state directory; atomic, because other runs may call :func:`_sweep`."""
    new = data / f".state.{os.getpid()}"
    new.touch(mode=0o600)
    new.write_text(str(state))
    new.replace(data / "state")


def _sweep(folder: Path) -> None:
    """Delete the data of deleted or newly created state directories."""
    for data in folder.iterdir():
        try:
            state = Path((data / "state").read_text())
        except OSError:  # another run is creating or deleting the folder
            continue
        try:
            owner = json.loads((state / "owner.json").read_text()).get("id")
        except (FileNotFoundError, NotADirectoryError):
            owner = None
        if owner != data.name:
            shutil.rmtree(data, ignore_errors=True)


def _listens(ip: str, port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex((ip, port)) == 0


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{quoted}'"


def _tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(empty log)"
