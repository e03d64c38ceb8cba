"""The state directory, which keeps data between runs."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdk_airflow_ecs.local.agent.processes import Processes
from cdk_airflow_ecs.local.refusal import Refusal

_OWNER = "owner.json"
_SECRETS = "secrets.json"


@dataclass(frozen=True)
class State:
    """The state directory of a local cluster.

    Args:
        directory: mode 0700; its files have mode 0600.
        id: eight hexadecimal digits, which do not change while the directory exists.
        processes: processes of the cluster that uses this directory.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     state = State.open(Path(folder, "state"))
        ...     state.remember("fernet", lambda: "first") + state.remember("fernet", lambda: "second")
        'firstfirst'
    """

    directory: Path
    id: str
    processes: Processes

    @classmethod
    def open(cls, directory: Path) -> State:
        """Create or open the directory; raises a Refusal if it belongs to another user."""
        directory = directory.expanduser().absolute()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = directory.stat()
        except OSError as error:
            raise Refusal(f"cannot create the state directory {directory}: {error.strerror}; choose another") from error
        if found.st_uid != os.geteuid():
            raise Refusal(f"the state directory {directory} belongs to another user; choose another")
        if stat.S_IMODE(found.st_mode) & 0o077:
            if any(directory.iterdir()) and not (directory / _OWNER).exists():
                raise Refusal(
                    f"{directory} is not a state directory: it contains other files, and other users can read it;"
                    " choose one that is empty or does not exist"
                )
            directory.chmod(0o700)
        known = _read(directory / _OWNER)
        if known is None:
            known = {"id": secrets.token_hex(4)}
            _write(directory / _OWNER, known)
        identifier = str(known["id"])
        return cls(directory, identifier, Processes(directory / "processes", identifier))

    def folder(self, *names: str) -> Path:
        """Return a subfolder; create it with mode 0700 if missing."""
        found = self.directory
        for name in names:
            found /= name
            found.mkdir(mode=0o700, exist_ok=True)
        return found

    def read(self, name: str) -> Any | None:
        """Return the value that :meth:`write` saved with this name, or None."""
        return _read(self.directory / f"{name}.json")

    def write(self, name: str, value: Any) -> None:
        """Save a JSON value atomically."""
        _write(self.directory / f"{name}.json", value)

    def remember(self, name: str, make: Callable[[], str]) -> str:
        """Return the saved text with this name; the first call saves the result of *make*."""
        kept = _read(self.directory / _SECRETS) or {}
        if name not in kept:
            kept[name] = make()
            _write(self.directory / _SECRETS, kept)
        return str(kept[name])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the directory for this run; raises a Refusal if another one has the lock."""
        with open(self.directory / "lock", "a+", opener=_private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                owner = file.read().strip() or "unknown"
                raise Refusal(
                    f"a cluster already runs on {self.directory} (process {owner}); stop it with"
                    " `airflow-ecs local down`, or choose another directory with --state"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def save_buckets(self, s3: Any, buckets: Mapping[str, str]) -> int:
        """Save the objects of *buckets* (logical id to bucket name); return the number of objects."""
        saved = 0
        for logical_id, bucket in buckets.items():
            folder = self.folder("buckets", logical_id)
            index: dict[str, str] = {}
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for number, item in enumerate(page.get("Contents", ()), len(index)):
                    content = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                    index[item["Key"]] = str(number)
                    _replace(folder / str(number), content)
            _write(folder / "index.json", index)
            for file in folder.iterdir():
                if file.name != "index.json" and file.name not in index.values():
                    file.unlink()
            saved += len(index)
        return saved

    def restore_buckets(self, s3: Any, buckets: Mapping[str, str]) -> int:
        """Restore the objects that :meth:`save_buckets` saved; return the number of objects."""
        restored = 0
        for logical_id, bucket in buckets.items():
            folder = self.folder("buckets", logical_id)
            for key, file in (_read(folder / "index.json") or {}).items():
                s3.put_object(Bucket=bucket, Key=key, Body=(folder / file).read_bytes())
                restored += 1
        return restored


def _read(file: Path) -> Any | None:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Refusal(f"{file} is damaged ({error}); remove {file.parent} to start from scratch") from error


def _write(file: Path, value: Any) -> None:
    _replace(file, json.dumps(value, indent=1).encode())


def _replace(file: Path, content: bytes) -> None:
    new = file.with_name(f".{file.name}.new")
    try:
        with open(new, "wb", opener=_private) as stream:
            stream.write(content)
        new.replace(file)
    except OSError as error:
        raise Refusal(f"cannot write {file}: {error.strerror}") from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
