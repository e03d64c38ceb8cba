"""Run numbers: each run on this machine holds one from 1 to 254 with a file lock, which ends with its process."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cdk_airflow_ecs.local.refusal import Refusal


@dataclass(slots=True)
class Number:
    """A run number, held while *_file* is open.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     (Number.take(Path(folder)).value, Number.take(Path(folder)).value)
        (1, 1)
    """

    value: int
    _file: int

    @classmethod
    def take(cls, folder: Path, accepts: Callable[[int], bool] = lambda value: True) -> Number:
        """Hold and return the first free number for which *accepts* returns true."""
        for number in cls.free(folder):
            if accepts(number.value):
                return number
            number.release()
        raise Refusal("at most 254 local clusters can run at the same time; stop one with `airflow-ecs local down`")

    @classmethod
    def free(cls, folder: Path) -> Iterator[Number]:
        """Hold and yield each free number; the caller must release those that it does not use."""
        private_folder(folder)
        for value in range(1, 255):
            file = os.open(folder / f"{value}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            yield cls(value, file)

    def release(self) -> None:
        """Free the number."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.release()


def private_folder(folder: Path) -> None:
    """Create a folder that only this user can write to; raises a Refusal if it exists and other users can."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise Refusal(f"cannot create the folder {folder}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Refusal(f"{folder} must be a folder that you own and only you can write to; remove it")
