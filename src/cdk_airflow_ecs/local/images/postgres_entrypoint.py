"""The entry point of PostgreSQL's official image, with only the standard library.

Usage: ``python -IS postgres_entrypoint.py postgres [ARGUMENTS...]``. Initializes the data from the variables that
the image documents, then runs the server. PGDATA is in the state directory or, if this process is root, in
/var/lib/airflow-ecs, which the server's user can enter.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

_ROOT_DATA = Path("/var/lib/airflow-ecs")


def _folder(user: str | None) -> Path:
    state = Path(os.environ["HOME"]).parents[2]
    name = os.environ.get("PGDATA", "/var/lib/postgresql/data").strip("/").replace("/", "-")
    if user is None:
        folder = state / "volumes" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder
    own = _ROOT_DATA / os.environ["AIRFLOW_ECS_LOCAL"]
    own.mkdir(mode=0o711, parents=True, exist_ok=True)
    _ROOT_DATA.chmod(0o755)
    own.chmod(0o711)
    new = own / f".state.{os.getpid()}"  # replaced atomically, because other runs may read it
    new.touch(mode=0o600)
    new.write_text(str(state))
    new.replace(own / "state")
    folder = own / name
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    return folder


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _run(words: list[str], folder: Path, user: str | None, given: str | None = None) -> None:
    group = pwd.getpwnam(user).pw_gid if user else None
    subprocess.run(
        words, input=given, text=True, check=True, cwd=folder, user=user, group=group,
        extra_groups=[] if user else None,
    )  # fmt: skip


def _prepare(data: Path, user: str | None) -> None:
    owner = os.environ.get("POSTGRES_USER", "postgres")
    database = os.environ.get("POSTGRES_DB", owner)
    password = os.environ.get("POSTGRES_PASSWORD")
    if not password:
        sys.exit("POSTGRES_PASSWORD must be set")
    unfinished = data.with_name("unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=data.parent) as file:
        file.write(password)
        file.flush()
        if user:
            shutil.chown(file.name, user)
        _run(
            ["initdb", "-D", str(unfinished), "-U", owner, "--no-sync", "-E", "UTF8", "--locale=C",
             "--auth=scram-sha-256", f"--pwfile={file.name}"],
            data.parent, user,
        )  # fmt: skip
    with (unfinished / "pg_hba.conf").open("a") as rules:
        rules.write("host all all all scram-sha-256\n")
    if database != "postgres":
        quoted = database.replace('"', '""')
        alone = ["postgres", "--single", "-D", str(unfinished), "postgres"]
        _run(alone, data.parent, user, f'CREATE DATABASE "{quoted}"')
    unfinished.rename(data)


def main() -> int:
    """Prepare the data, run the server and forward signals."""
    user = _user()
    data = _folder(user) / "data"
    if not (data / "PG_VERSION").exists():
        _prepare(data, user)
    # Listen on all addresses in a network namespace, else only on the loopback.
    own = os.uname().nodename.startswith("ip-198-18-")
    words = [
        *sys.argv[1:], "-D", str(data), "-c", f"listen_addresses={'*' if own else '127.0.0.1'}",
        "-c", "unix_socket_directories=", "-c", "fsync=off",
    ]  # fmt: skip
    group = pwd.getpwnam(user).pw_gid if user else None
    extra: list[int] | None = [] if user else None
    with subprocess.Popen(words, cwd=data, user=user, group=group, extra_groups=extra) as server:

        def stop(number: int, frame: FrameType | None) -> None:
            # SIGINT is the image's STOPSIGNAL: a fast shutdown that does not wait for clients.
            server.send_signal(signal.SIGINT)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        return server.wait()


if __name__ == "__main__":
    sys.exit(main())
