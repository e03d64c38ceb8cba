"""Selects the local Python for an Airflow release."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cdk_airflow_ecs.local.refusal import Refusal

# Requires-Python on PyPI: oldest and newest minor version per Airflow line.
_RANGES: Final = {
    "2.8": (8, 11), "2.9": (8, 12), "2.10": (8, 12), "2.11": (10, 12),
    "3.0": (9, 12), "3.1": (10, 13), "3.2": (10, 14), "3.3": (10, 14),
}  # fmt: skip
_OLDEST_LOCKED: Final = 11  # lock files are created with --python-version 3.11


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An installed Python; *version* is, for example, "3.12.4"."""

    path: Path
    version: str

    @property
    def minor(self) -> str:
        """Version without patch number, such as "3.12"."""
        return ".".join(self.version.split(".")[:2])

    @property
    def number(self) -> int:
        """Minor version number, such as 12."""
        return int(self.version.split(".")[1])


def choose(airflow: str, wanted: str, *, locked: bool, found: list[Interpreter] | None = None) -> Interpreter:
    """Return the image's Python version, or the nearest that supports this Airflow release.

    Args:
        airflow: Airflow release.
        wanted: Python of the image, such as "3.12".
        locked: whether the release has a lock file, which needs Python 3.11 or newer.
        found: candidates; default: the installed interpreters or, if none fits, one downloaded with uv.

    Examples:
        >>> pythons = [Interpreter(Path("a"), "3.10.1"), Interpreter(Path("b"), "3.11.7")]
        >>> choose("3.3.2", "3.12", locked=True, found=pythons).version
        '3.11.7'
    """
    first, last = _RANGES.get(".".join(airflow.split(".")[:2]), (10, 14))
    first = max(first, _OLDEST_LOCKED) if locked else first
    goal = int(wanted.split(".")[1])
    everything = installed() if found is None else found
    fitting = [python for python in everything if first <= python.number <= last]
    if fitting:
        return min(fitting, key=lambda python: abs(python.number - goal) * 100 - python.number)
    if found is None and (fetched := _fetch(f"3.{min(max(goal, first), last)}")):
        return fetched
    have = ", ".join(sorted({python.minor for python in everything})) or "none"
    raise Refusal(
        f"Airflow {airflow} needs Python 3.{first} to 3.{last}; installed: {have}. Install one, for example"
        f" with `uv python install 3.{min(max(goal, first), last)}`"
    )


def installed() -> list[Interpreter]:
    """Return this process's interpreter and those on PATH and of pyenv and uv.

    `uv python list` would take seconds, because it runs each of pyenv's shims on PATH.
    """
    home = Path.home()
    uv = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share") / "uv/python"
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    folders = [Path(sys.base_prefix, "bin"), *uv.glob("cpython-*/bin"), *pyenv.glob("3.*/bin")]
    folders += [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if not each.endswith("shims")]
    found: dict[Path, Interpreter] = {}
    for folder in folders:
        for path in sorted(folder.glob("python3.[0-9]*")):
            real = path.resolve()
            if re.fullmatch(r"python3\.\d+", path.name) and real not in found and not _is_virtual(path):
                version = _version(path)
                if version is not None:
                    found[real] = Interpreter(path, version)
    return list(found.values())


def _is_virtual(path: Path) -> bool:
    """Return whether an interpreter belongs to a virtual environment, which may be deleted later."""
    return (path.parent.parent / "pyvenv.cfg").exists()


def _version(path: Path) -> str | None:
    try:
        done = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.fullmatch(r"Python (3\.\d+\.\d+)", done.stdout.strip())
    return match[1] if match else None


def _fetch(minor: str) -> Interpreter | None:
    if _uv("python", "install", "--quiet", minor) is None:
        return None
    return next((python for python in installed() if python.minor == minor), None)


def _uv(*arguments: str) -> str | None:
    program = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if program is None:
        return None
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return ran.stdout if ran.returncode == 0 else None
