"""What outlives a run: one folder that only its owner can read."""

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
    """The state directory of one local cluster.

    Args:
        directory: mode 0700; every file in it is 0600.
        id: eight hexadecimal digits, the same as long as the directory exists.
        processes: what the runs of this directory have started.

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
        """Make the directory, or use it again.

        Raises:
            Refusal: if it belongs to someone else, or cannot be made.
        """
        directory = directory.expanduser().absolute()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = directory.stat()
        except OSError as error:
            raise Refusal(f"the state directory {directory} cannot be made: {error.strerror}; name another") from error
        if found.st_uid != os.geteuid():
            raise Refusal(f"the state directory {directory} belongs to another user; name one of your own")
        if stat.S_IMODE(found.st_mode) & 0o077:
            if any(directory.iterdir()) and not (directory / _OWNER).exists():
                raise Refusal(
                    f"{directory} is no state directory: it holds other files and others can read it; name one that is"
                    " empty or does not exist"
                )
            directory.chmod(0o700)
        known = _read(directory / _OWNER)
        if known is None:
            known = {"id": secrets.token_hex(4)}
            _write(directory / _OWNER, known)
        identifier = str(known["id"])
        return cls(directory, identifier, Processes(directory / "processes", identifier))

    def folder(self, *names: str) -> Path:
        """A folder of the directory, made with mode 0700 if it does not exist."""
        found = self.directory
        for name in names:
            found /= name
            found.mkdir(mode=0o700, exist_ok=True)
        return found

    def read(self, name: str) -> Any | None:
        """What :meth:`write` wrote; None if nothing."""
        return _read(self.directory / f"{name}.json")

    def write(self, name: str, value: Any) -> None:
        """Keep a JSON value. A reader finds the old one or the new one, never a half."""
        _write(self.directory / f"{name}.json", value)

    def remember(self, name: str, make: Callable[[], str]) -> str:
        """The text that *make* made at the first call with this name."""
        kept = _read(self.directory / _SECRETS) or {}
        if name not in kept:
            kept[name] = make()
            _write(self.directory / _SECRETS, kept)
        return str(kept[name])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for one run.

        Raises:
            Refusal: if another run holds it.
        """
        with open(self.directory / "lock", "a+", opener=_private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                owner = file.read().strip() or "unknown"
                raise Refusal(
                    f"a cluster already runs on {self.directory} (process {owner}); stop it with"
                    " `airflow-ecs local down`, or name another directory with --state"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def save_buckets(self, s3: Any, buckets: Mapping[str, str]) -> int:
        """Copy the objects of *buckets* (logical id to bucket name) here; return how many there are.

        Args:
            s3: a client of boto3.
            buckets: what to save. What is kept of other buckets stays.
        """
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
        """Put back what :meth:`save_buckets` saved; return how many objects there were."""
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
        raise Refusal(f"{file} is damaged ({error}); remove {file.parent} to begin anew") from error


def _write(file: Path, value: Any) -> None:
    _replace(file, json.dumps(value, indent=1).encode())


def _replace(file: Path, content: bytes) -> None:
    """Replace a file at once; nobody else can read it at any time."""
    new = file.with_name(f".{file.name}.new")
    try:
        with open(new, "wb", opener=_private) as stream:
            stream.write(content)
        new.replace(file)
    except OSError as error:
        raise Refusal(f"{file} cannot be written: {error.strerror}") from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
