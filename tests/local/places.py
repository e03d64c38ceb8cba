"""Temporary state directories, and the kinds of network that this machine supports."""

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
    """Open a state directory and remove it afterwards."""
    # The path is short, because the path of a socket has at most 107 bytes.
    folder = Path(mkdtemp(prefix="state-", dir="/tmp"))
    state = State.open(folder / "s")
    try:
        yield state
    finally:
        state.processes.stop_all()
        _remove(folder)


def _remove(folder: Path) -> None:
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
    shutil.rmtree(folder)


def command_lines() -> bytes:
    """Return the command lines of all processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # the process has ended
            found.append((folder / "cmdline").read_bytes())
    return b"".join(found)


@cache
def why_not_isolated() -> str:
    """Return why this machine does not support network namespaces; empty if it does."""
    try:
        Addresses.open(isolated=True).close()
    except Refusal as refusal:
        return str(refusal)
    return ""


def networks() -> list[bool]:
    """Return the pytest parameters "loopback" and "namespaces"; the latter is skipped if unsupported."""
    if reason := why_not_isolated():
        print(f"NOT RUN with namespaces: {reason}", file=sys.stderr)
        return [False]
    return [False, True]
