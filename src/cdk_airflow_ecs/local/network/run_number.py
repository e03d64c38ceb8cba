"""A number from 1 to 254, unique per run on this machine; the kernel frees it when the process ends."""

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
    """A number, held while *_file* is open.

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
        """Hold the first free number that *accepts* allows."""
        for number in cls.free(folder):
            if accepts(number.value):
                return number
            number.release()
        raise Refusal("254 local clusters run already, the maximum; stop one with `airflow-ecs local down`")

    @classmethod
    def free(cls, folder: Path) -> Iterator[Number]:
        """Hold and yield each free number; the caller releases those it does not use."""
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
    """Create a folder that only its owner can write to; raises a Refusal if an existing one is not."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise Refusal(f"cannot create the folder {folder}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Refusal(f"{folder} must be a folder that you own and only you can write to; remove it")
