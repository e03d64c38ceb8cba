"""Real PostgreSQL and Redis servers for tests; each listens on a free port and removes its files."""

from __future__ import annotations

import itertools
import os
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

# Ports below the ephemeral range (net.ipv4.ip_local_port_range), so that no client takes a free port before the server
# starts. Each pytest process uses a separate range of a thousand ports.
_FIRST = 20_000 + 1000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10)
_PORTS = itertools.cycle(random.sample(range(_FIRST, _FIRST + 1000), 1000))


def free_port() -> int:
    """Return a free TCP port that is not returned again soon."""
    for port in itertools.islice(_PORTS, 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"all ports from {_FIRST} on are in use")


class PostgresServer:
    """A PostgreSQL server with passwords (SCRAM), TLS and its own certificate authority.

    The server runs as the user ``postgres`` if the tests run as root.

    Example:
        with PostgresServer() as server:
            server.create_database("airflow", "airflow", "p@ss/w:rd")
            url = server.url("airflow", "airflow", "p@ss/w:rd")
    """

    host = "localhost"
    superuser = "postgres"

    def __init__(self) -> None:
        self.port = free_port()
        self.password = secrets.token_urlsafe(12)
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
        self.ca_certificate = self.directory / "ca.crt"

    def __enter__(self) -> PostgresServer:
        self.directory.chmod(0o755)
        (self.directory / "password").write_text(self.password)
        _make_certificates(self.directory, self.host)
        if os.getuid() == 0:
            for path in (self.directory, *self.directory.iterdir()):
                shutil.chown(path, "postgres", "postgres")
        data = self.directory / "data"
        self._run("initdb", "-D", data, "-U", self.superuser, "--auth=scram-sha-256", "--no-sync",
                  "-E", "UTF8", "--locale=C.UTF-8", f"--pwfile={self.directory}/password")  # fmt: skip
        (data / "postgresql.conf").open("a").write(
            f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n"
            f"ssl = on\nssl_cert_file = '{self.directory}/server.crt'\n"
            f"ssl_key_file = '{self.directory}/server.key'\n"
        )
        self._run("pg_ctl", "-D", data, "-l", self.directory / "log", "-w", "-t", "60", "start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run("pg_ctl", "-D", self.directory / "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.directory)

    def create_database(self, name: str, user: str, password: str) -> None:
        """Create a user with any password, and a database that the user owns."""
        literal = password.replace("'", "''")
        self.execute(f"CREATE ROLE \"{user}\" LOGIN PASSWORD '{literal}'")
        self.execute(f'CREATE DATABASE "{name}" OWNER "{user}"')

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run one statement as the superuser and return the rows, with columns separated by ``|``."""
        done = subprocess.run(
            [self._program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port),
             "-U", self.superuser, "-d", database],
            input=sql, env={"PGPASSWORD": self.password}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def url(self, database: str, user: str, password: str, driver: str = "postgresql+psycopg2") -> str:
        """Return a connection URL that requires TLS and verifies the certificate."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        tls = f"sslmode=verify-full&sslrootcert={self.ca_certificate}"
        return f"{driver}://{login}@{self.host}:{self.port}/{database}?{tls}"

    def _run(self, program: str, *arguments: str | Path) -> None:
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        command = [*(as_postgres if os.getuid() == 0 else []), self._program(program), *map(str, arguments)]
        # A file, because reading a pipe would never end: the server inherits standard output.
        with tempfile.TemporaryFile("w+") as output:
            if subprocess.run(command, stdout=output, stderr=output, cwd="/", check=False).returncode:
                output.seek(0)
                raise RuntimeError(f"{program}: {output.read()}")

    @staticmethod
    def _program(name: str) -> str:
        installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        found = shutil.which(name) or (str(installed[-1]) if installed else None)
        if found is None:
            raise RuntimeError(f"{name} not found: install PostgreSQL's server, Debian's package postgresql")
        return found


class RedisServer:
    """A Redis server with TLS only, its own certificate authority and a token (AUTH).

    Example:
        with RedisServer() as server:
            server.command("PING")
    """

    host = "localhost"

    def __init__(self) -> None:
        self.port = free_port()
        self.token = secrets.token_hex(32)
        self.directory = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
        self.ca_certificate = self.directory / "ca.crt"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> RedisServer:
        self.directory.chmod(0o755)
        _make_certificates(self.directory, self.host)
        with (self.directory / "log").open("w") as log:
            self._process = subprocess.Popen(
                ["redis-server", "-"], stdin=subprocess.PIPE, stdout=log, stderr=log, text=True
            )
        # Pass settings on standard input, because other users can read arguments.
        assert self._process.stdin is not None
        with self._process.stdin as settings:
            settings.write(
                f"port 0\ntls-port {self.port}\nbind 127.0.0.1\nrequirepass {self.token}\n"
                f"tls-cert-file {self.directory}/server.crt\ntls-key-file {self.directory}/server.key\n"
                f"tls-ca-cert-file {self.ca_certificate}\ntls-auth-clients no\n"
                f'save ""\ndir {self.directory}\n'
            )
        for _ in range(600):
            if self._process.poll() is not None:
                break
            if self._client("PING").stdout.strip() == "PONG":
                return self
            time.sleep(0.1)
        self.__exit__(None, None, None)
        raise RuntimeError("redis-server does not answer")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.directory)

    def command(self, *words: str) -> str:
        """Send one command with TLS and the token; return the response as ``redis-cli`` prints it."""
        done = self._client(*words)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def _client(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["redis-cli", "-h", self.host, "-p", str(self.port),
             "--tls", "--cacert", str(self.ca_certificate), *words],
            env={**os.environ, "REDISCLI_AUTH": self.token}, capture_output=True, text=True, check=False,
        )  # fmt: skip


def _make_certificates(directory: Path, host: str) -> None:

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test", "-days", "2")
    openssl("req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={host}")
    (directory / "names").write_text(f"subjectAltName=DNS:{host},IP:127.0.0.1")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "server.crt", "-days", "2", "-extfile", "names")  # fmt: skip
    (directory / "server.key").chmod(0o600)
