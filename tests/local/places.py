"""What tests of the local runner share: a state directory, and which networks this machine allows."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from cdk_airflow_ecs.local.addresses import Addresses
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
        shutil.rmtree(folder)


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
