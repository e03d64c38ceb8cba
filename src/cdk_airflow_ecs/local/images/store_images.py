"""Creates folders of programs that replace the official images of PostgreSQL and Redis."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Final

from cdk_airflow_ecs.local.images.image import Kind
from cdk_airflow_ecs.local.stores.postgres_programs import Programs
from cdk_airflow_ecs.local.stores.redis import Program

_HERE: Final = Path(__file__).parent
_SHIM: Final = '#!/bin/sh\nexec "{python}" -IS "{file}" "$@"\n'
# Redis listens only on the loopback, unless the container has its own network namespace.
_REDIS: Final = (
    '#!/bin/sh\ncase "$(uname -n)" in\n    ip-198-18-*) exec "{program}" "$@" ;;\n'
    '    *) exec "{program}" "$@" --bind 127.0.0.1 --protected-mode no ;;\nesac\n'
)
_REDIS_START: Final = '#!/bin/sh\ncase "$1" in -*) set -- redis-server "$@" ;; esac\nexec "$@"\n'


def programs(kind: Kind, folder: Path, *, embedded: bool = False) -> tuple[str, tuple[str, ...]]:
    """Fill *folder* with the programs of a PostgreSQL or Redis image; *embedded* ignores installed servers.

    Returns the server, such as "PostgreSQL 15.18 (system)", and the entry point.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "postgres":
        found = Programs.find(embedded=embedded)
        for name in ("postgres", "initdb", "psql", "pg_isready", "pg_dump"):
            if (found.folder / name).exists():
                _link(folder / name, found.folder / name)
        _script(
            folder / "docker-entrypoint.sh", _SHIM.format(python=sys.executable, file=_HERE / "postgres_entrypoint.py")
        )
        return f"PostgreSQL {found.version} ({found.origin})", ("docker-entrypoint.sh",)
    server = Program.find(embedded=embedded)
    for name in ("redis-server", "valkey-server"):
        _script(folder / name, _REDIS.format(program=server.path))
    client = None if embedded else shutil.which("redis-cli") or shutil.which("valkey-cli")
    for name in ("redis-cli", "valkey-cli"):
        if client:
            _link(folder / name, Path(client))
        else:
            _script(folder / name, _SHIM.format(python=sys.executable, file=_HERE / "redis_cli.py"))
    # The entry point without the official one's change of user.
    _script(folder / "docker-entrypoint.sh", _REDIS_START)
    return f"Redis {server.version} ({server.origin})", ("docker-entrypoint.sh",)


def _unfinished(file: Path) -> Path:
    """Return a temporary name that is unique to this thread, because two images may be prepared at once."""
    return file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")


def _link(link: Path, target: Path) -> None:
    new = _unfinished(link)
    new.symlink_to(target)
    new.replace(link)


def _script(file: Path, text: str) -> None:
    new = _unfinished(file)
    new.write_text(text)
    new.chmod(0o755)
    new.replace(file)
