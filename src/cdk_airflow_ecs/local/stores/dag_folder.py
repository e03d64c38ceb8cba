"""Synchronizes a local folder to the DAG bucket, like `aws s3 sync --delete`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_PACE: Final = 1.0  # seconds
_LEFT_OUT: Final = ("__pycache__", ".git", ".DS_Store")


@dataclass(kw_only=True)
class DagFolder:
    """A local DAG folder and its bucket; *prefix* is empty or ends with a slash."""

    folder: Path
    bucket: str
    prefix: str
    client: Callable[[], Any]
    _sent: dict[str, tuple[int, int]] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Upload the folder, then upload its changes in a background thread."""
        s3 = self.client()
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix):
            for item in page.get("Contents", ()):
                self._sent[item["Key"].removeprefix(self.prefix)] = (0, 0)
        self.send()
        threading.Thread(target=self._follow, name="dags", daemon=True).start()

    def stop(self) -> None:
        """Stop uploading."""
        self._over.set()

    def send(self) -> int:
        """Upload or delete changed files; return their number."""
        s3, found, changed = self.client(), dict(self._files()), 0
        for name, seen in found.items():
            if self._sent.get(name) != seen:
                with suppress(FileNotFoundError):  # the file was just deleted
                    s3.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=(self.folder / name).read_bytes())
                    self._sent[name], changed = seen, changed + 1
        for name in set(self._sent) - set(found):
            s3.delete_object(Bucket=self.bucket, Key=self.prefix + name)
            del self._sent[name]
            changed += 1
        return changed

    def _files(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for file in sorted(self.folder.rglob("*")):
            name = file.relative_to(self.folder)
            if file.is_file() and not set(name.parts) & set(_LEFT_OUT):
                found = file.stat()
                yield name.as_posix(), (found.st_mtime_ns, found.st_size)

    def _follow(self) -> None:
        while not self._over.wait(_PACE):
            with suppress(OSError):  # an editor may be replacing the folder
                self.send()
