"""PostgreSQL and Redis servers for a template's clients, both installed and embedded ones."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import pytest
from places import command_lines, networks, temporary_state

from cdk_airflow_ecs.local.network.addresses import Addresses
from cdk_airflow_ecs.local.network.certificate_authority import Authority
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.state import State
from cdk_airflow_ecs.local.stores import postgres as postgres_module
from cdk_airflow_ecs.local.stores.postgres import PostgresServer
from cdk_airflow_ecs.local.stores.postgres_programs import Programs, unprivileged, within_reach
from cdk_airflow_ecs.local.stores.redis import Program, RedisServer

pytestmark = [pytest.mark.slow]
HOSTILE = "p@ss/w:rd#%25 &=?\"+!x$1'\\ü"


@pytest.fixture(scope="module", params=["system", "embedded"])
def embedded(request) -> bool:
    """Return whether the embedded servers are used."""
    return request.param == "embedded"


@pytest.fixture(scope="module", params=networks(), ids=lambda isolated: "namespaces" if isolated else "loopback")
def place(request) -> Iterator[tuple[State, Addresses, Authority]]:
    """Open a state directory, addresses and a certificate authority."""
    with temporary_state() as state:
        addresses = Addresses.open(isolated=request.param)
        yield state, addresses, Authority(state.folder("authority"))
        addresses.close()


@pytest.fixture(scope="module")
def postgres(place, embedded: bool) -> Iterator[PostgresServer]:
    """Start PostgreSQL with one database."""
    state, addresses, authority = place
    server = PostgresServer(
        state,
        f"db-{embedded}",
        address=addresses.add("db"),
        authority=authority,
        names=["db.internal"],
        programs=Programs.find(embedded=embedded),
    )
    server.start()
    server.ensure('air"flow', "mas'ter", HOSTILE)
    yield server
    server.remove()


@pytest.fixture(scope="module")
def redis(place, embedded: bool) -> Iterator[RedisServer]:
    """Start Redis with a password."""
    state, addresses, authority = place
    server = RedisServer(
        state,
        f"cache-{embedded}",
        address=addresses.add("cache"),
        authority=authority,
        password=HOSTILE,
        program=Program.find(embedded=embedded),
    )
    server.start()
    yield server
    server.stop()


def query(server: PostgresServer, sql: str, password: str = HOSTILE, mode: str = "verify-full", ca: Path | None = None):
    """Run psql in the tasks' network, because this machine cannot reach the server."""
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": password, "PGSSLMODE": mode}
    if mode == "verify-full":
        environment["PGSSLROOTCERT"] = str(ca or server._authority.certificate)
    client = ["psql", "-XAt", "-h", server.address.ip, "-p", "5432", "-U", "mas'ter", "-d", 'air"flow', "-c", sql]
    command = [*server.address.command_prefix, *client]
    return subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)


def test_postgres_requires_tls_and_the_exact_password(postgres: PostgresServer, tmp_path: Path):
    """A strict client connects; plain text, a wrong password and a wrong certificate authority are refused."""
    assert postgres.kind.startswith(("system 1", "embedded 1"))
    output = query(postgres, "SELECT current_user, version()")
    assert output.stdout.startswith("mas'ter|PostgreSQL 1"), output.stderr
    assert query(postgres, "SELECT 1", mode="require").stdout == "1\n"
    assert query(postgres, "SELECT 1", mode="disable").returncode == 2
    assert "password authentication failed" in query(postgres, "SELECT 1", password="wrong").stderr
    assert "certificate verify failed" in query(postgres, "SELECT 1", ca=Authority(tmp_path / "a").certificate).stderr


def test_postgres_transfers_large_data(postgres: PostgresServer):
    """PostgreSQL transfers tens of megabytes in both directions through the TLS proxy."""
    rows = query(postgres, "SELECT repeat('x', 1000) FROM generate_series(1, 20000)").stdout
    assert len(rows) == 20000 * 1001
    sql = f"SELECT length('{'y' * 100_000}')"
    assert query(postgres, sql).stdout == "100000\n"


def test_postgres_keeps_committed_data(postgres: PostgresServer):
    """Committed data survives a restart, a kill and a change of the password."""
    assert query(postgres, "CREATE TABLE kept AS SELECT 1 AS one").returncode == 0
    postgres.restart()
    assert query(postgres, "INSERT INTO kept VALUES (2)").returncode == 0
    postgres.kill()
    postgres.start()
    assert query(postgres, "SELECT sum(one) FROM kept").stdout == "3\n"
    postgres.ensure('air"flow', "mas'ter", "another")
    assert query(postgres, "SELECT sum(one) FROM kept", password="another").stdout == "3\n"
    assert query(postgres, "SELECT 1").returncode != 0
    postgres.ensure('air"flow', "mas'ter", HOSTILE)


def test_the_postgres_master_user_creates_roles_and_databases(postgres: PostgresServer):
    """As on RDS, the master user can create roles and databases but is not a superuser."""
    name = f"r{secrets.token_hex(4)}"
    assert query(postgres, f"CREATE ROLE {name} LOGIN").returncode == 0
    assert query(postgres, f"CREATE DATABASE {name}").returncode == 0
    for sql in ("ALTER SYSTEM SET fsync = on", f"ALTER ROLE {name} SUPERUSER"):
        assert re.search("must be superuser|permission denied", query(postgres, sql).stderr), sql


def test_no_secret_of_postgres_can_be_read_by_others(postgres: PostgresServer):
    """Only the owner can read the data folder, and no argument or log contains a password."""
    assert stat.S_IMODE(postgres._data.stat().st_mode) == 0o700
    assert stat.S_IMODE(postgres._log.stat().st_mode) == 0o600
    shown = command_lines()
    output = postgres._log.read_text()
    for secret in (HOSTILE, postgres._password):
        assert secret.encode() not in shown
        assert secret not in output


def test_the_error_of_a_failed_postgres_start_contains_its_log(place):
    """If PostgreSQL cannot start because its port is in use, the error contains its log."""
    state, addresses, _ = place
    address = addresses.add("busy")
    server = PostgresServer(state, "busy", address=address, authority=None, port=5432)
    if addresses.isolated:
        code = f"import socket,time;s=socket.create_server(('{address.ip}',5432));print(flush=True);time.sleep(600)"
        holder = subprocess.Popen([*address.command_prefix, "python3", "-c", code], stdout=subprocess.PIPE)
        holder.stdout.readline()
    else:
        holder = socket.create_server((address.ip, 5432))
    try:
        with pytest.raises(Refusal, match=r"does not start:\n(.|\n)*in use"):
            server.start()
    finally:
        holder.kill() if addresses.isolated else holder.close()
        server.remove()


def test_redis_requires_tls_and_the_password(redis: RedisServer, tmp_path: Path):
    """Redis refuses clients without TLS, without the password or with another certificate authority."""
    assert redis.kind.startswith(("system ", "embedded "))
    assert redis.command("SET", "a", "b\r\nc") == "+OK"
    with redis.address.connect(6379, 60) as client:
        client.sendall(b"PING\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"PONG" not in client.recv(100)
    good = ssl.create_default_context(cafile=str(redis._authority.certificate))
    with (
        redis.address.connect(6379, 60) as plain,
        good.wrap_socket(plain, server_hostname=redis.address.ip) as client,
    ):
        client.sendall(b"PING\r\n")
        assert client.recv(100).startswith(b"-NOAUTH")
    bad = ssl.create_default_context(cafile=str(Authority(tmp_path / "a").certificate))
    with (
        redis.address.connect(6379, 60) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        bad.wrap_socket(plain, server_hostname=redis.address.ip)


def test_redis_loses_its_data_when_it_is_killed(redis: RedisServer):
    """Redis keeps its data in a planned restart and loses it when it is killed."""
    redis.command("SET", "kept", "1")
    redis.restart()
    assert redis.command("EXISTS", "kept") == ":1"
    redis.kill()
    redis.start()
    assert redis.command("EXISTS", "kept") == ":0"
    assert redis.command("CONFIG", "GET", "maxmemory-policy").startswith("*2")


def test_no_secret_of_redis_can_be_read_by_others(redis: RedisServer):
    """No argument or log contains the password, and only the owner can read the files."""
    redis.restart()
    shown = command_lines()
    assert HOSTILE.encode() not in shown
    assert HOSTILE not in redis._log.read_text()
    for file in redis._folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def test_stores_in_containers_use_no_tls(place, embedded: bool):
    """PostgreSQL and Redis containers for development run without TLS."""
    state, addresses, _ = place
    programs, program = Programs.find(embedded=embedded), Program.find(embedded=embedded)
    database = PostgresServer(state, "plain", address=addresses.add("db"), authority=None, programs=programs)
    cache = RedisServer(
        state, "plain-cache", address=addresses.add("cache"), authority=None, password=None, program=program
    )
    try:
        database.start()
        database.ensure('air"flow', "mas'ter", "x")
        assert query(database, "SELECT 1", password="x", mode="disable").stdout == "1\n"
        cache.start()
        assert cache.ping()
    finally:
        database.remove()
        cache.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs its servers as someone else")
def test_a_database_program_in_a_private_folder_is_copied(tmp_path: Path):
    """A server program in a folder that other users cannot enter is copied before its start."""
    hidden = tmp_path / "root"
    hidden.mkdir(mode=0o700)
    bundled = Programs.find(embedded=True)
    package, site = bundled.folder.parents[1], bundled.folder.parents[2]
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(site / name, hidden / name, symlinks=True)
    inside = bundled.folder.relative_to(site)
    copies = Path(mkdtemp(prefix="copies-", dir="/tmp"))
    copies.chmod(0o755)
    try:
        found = within_reach(replace(bundled, folder=hidden / inside), unprivileged(), copies)
        assert found.folder == copies / f"postgresql-{bundled.version}" / inside
        with temporary_state() as state:
            addresses = Addresses.open(
                isolated=False
            )  # assigned to a variable, because garbage collection would release the addresses
            server = PostgresServer(state, "copied", address=addresses.add("db"), authority=None, programs=found)
            server.start()
            assert server.execute("SELECT 1") == "1"
            server.remove()
            addresses.close()
        assert within_reach(found, unprivileged(), copies) is found
    finally:
        shutil.rmtree(copies)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs its servers as someone else")
def test_two_runs_copy_a_database_program_in_parallel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """If two runs copy the program at the same time, the slower one removes its copy and uses that of the other."""
    program = tmp_path / "root/package/pginstall/bin/postgres"
    program.parent.mkdir(parents=True)
    program.touch()  # the file is not executable
    copies, real = tmp_path / "copies", shutil.copytree

    def copytree(*words: object, **options: object) -> None:
        real(*words, **options)
        (copies / "postgresql-15.1/package").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(shutil, "copytree", copytree)
    found = within_reach(Programs(program.parent, "15.1", "embedded", False), unprivileged(), copies)
    assert found.folder == copies / "postgresql-15.1/package/pginstall/bin"
    assert [path.name for path in copies.iterdir()] == ["postgresql-15.1"]


def test_a_starting_run_keeps_the_data_folders_of_other_runs(tmp_path: Path):
    """A starting run removes unused data folders, but not those of other runs."""
    owner = State.open(tmp_path / "state")
    folder = tmp_path / "data"
    (folder / owner.id / "db").mkdir(parents=True)
    over = threading.Event()

    def begin_again_and_again() -> None:
        while not over.is_set() and (folder / owner.id).exists():
            postgres_module._point(folder / owner.id, owner.directory)

    thread = threading.Thread(target=begin_again_and_again)
    thread.start()
    try:
        for _ in range(1000):
            postgres_module._sweep(folder)
    finally:
        over.set()
        thread.join()
    assert (folder / owner.id / "db").exists()
    shutil.rmtree(owner.directory)
    postgres_module._sweep(folder)
    assert list(folder.iterdir()) == []


def test_the_error_without_a_server_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch):
    """If no database server is installed, the error names the package to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"package postgresql.*cdk-airflow-ecs\[local\]"):
        Programs.find(embedded=True)
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    with pytest.raises(Refusal, match=r"package redis-server.*cdk-airflow-ecs\[local\]"):
        Program.find()
