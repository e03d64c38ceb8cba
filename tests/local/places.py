"""What tests of the local runner share: a state directory, and which networks this machine allows."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from cdk_airflow_ecs.local.network.addresses import Addresses
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.state import State

EXTRA = Path(__file__).parents[2] / ".venvs/local/lib" / f"python3.{sys.version_info.minor}" / "site-packages"


@contextmanager
def temporary_state() -> Iterator[State]:
    """Open a state directory, and leave nothing of it behind."""
    # Short: the path of a socket may have 107 bytes.
    folder = Path(mkdtemp(prefix="state-", dir="/tmp"))
    state = State.open(folder / "s")
    try:
        yield state
    finally:
        state.processes.stop_all()
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder, into which a process that has just been killed may still write for a moment."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(folder)


def command_lines() -> bytes:
    """The command lines of all processes of this machine, which everybody can read."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # others come and go meanwhile
            found.append((folder / "cmdline").read_bytes())
    return b"".join(found)


@cache
def why_not_isolated() -> str:
    """Return why this machine allows no network namespaces; empty if it does."""
    try:
        Addresses.open(isolated=True).close()
    except Refusal as refusal:
        return str(refusal)
    return ""


def networks() -> list[bool]:
    """Loopback everywhere, namespaces where they are allowed; what cannot run is told, not skipped in silence."""
    if reason := why_not_isolated():
        print(f"NOT RUN with namespaces: {reason}", file=sys.stderr)
        return [False]
    return [False, True]
