"""A number from 1 to 254 that no other run on this machine has, freed by the kernel when its holder dies."""

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
    """One that is held as long as *file* is open.

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
        """Take the first free one.

        Args:
            folder: where all runs that must differ keep their locks.
            accepts: says whether a number may be used.
        """
        for number in cls.free(folder):
            if accepts(number.value):
                return number
            number.release()
        raise Refusal("254 clusters run on this machine already; stop one with `airflow-ecs local down`")

    @classmethod
    def free(cls, folder: Path) -> Iterator[Number]:
        """Hold one after the other that nobody holds; the caller releases what it does not want."""
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
        """Let others have it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.release()


def private_folder(folder: Path) -> None:
    """Make a folder for its owner only, or check one that exists.

    Raises:
        Refusal: if someone else made it, can write to it, or put a link in its place.
    """
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise Refusal(f"the folder {folder} cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Refusal(f"{folder} is not a folder that only you can write to; remove it, or have its owner do so")
