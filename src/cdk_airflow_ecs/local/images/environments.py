"""Python environments in the place of images: made with uv, kept between runs, shared by all clusters of a user."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from cdk_airflow_ecs.airflow_extras import extras_of
from cdk_airflow_ecs.local.images.build import read_image
from cdk_airflow_ecs.local.images.container_home import fill, located, search_path
from cdk_airflow_ecs.local.images.image import AirflowImageParts, ImageBuild, Kind, kind_of
from cdk_airflow_ecs.local.images.interpreters import Interpreter, choose
from cdk_airflow_ecs.local.images.requirement_lines import package_of, packages_of, requirement_lines
from cdk_airflow_ecs.local.images.store_images import programs
from cdk_airflow_ecs.local.refusal import Refusal

_LOCKS: Final = Path(__file__).parents[1] / "locks"
_RELEASES: Final = Path(__file__).parents[1] / "releases.json"
# 3.16.0, 3.17.0 and 3.17.1 register no task that a worker would find; celery 5.7 lacks what the provider imports;
# kombu 5.5 loses connections to SQS.
_BROKEN: Final = (
    "apache-airflow-providers-celery!=3.16.0,!=3.17.0,!=3.17.1",
    "celery[redis,sqs]<5.7",
    "kombu!=5.5.*",
)
# Flask-Session 0.6 came days before 2.8.1 and breaks its migration; the provider fab of Airflow 3 needs 0.8.
_BROKEN_2: Final = (*_BROKEN, "flask-session<0.6")
_BINARIES: Final = ("--only-binary", "pycurl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The Python environment that takes the place of one image.

    The official images of PostgreSQL and Redis have one too, without Airflow.

    Args:
        python: its interpreter.
        bin: the folder of its programs.
        path: the PATH of its containers.
        airflow_version: the release that it holds.
        image: the content of the image beyond Python packages.
        substitutions: how it differs from the image, for people.
    """

    python: Path
    bin: Path
    path: str
    airflow_version: str
    image: AirflowImageParts
    substitutions: tuple[str, ...] = ()

    def prepare(self, home: Path) -> None:
        """Lay the files that the image has below AIRFLOW_HOME into a container's home."""
        fill(home, self.image)

    def located(self, text: str, home: Path) -> str:
        """Replace the paths of the image that *text* holds by those of a container's home and of this environment."""
        return located(text, self.image, home, self.bin)

    def variables(self, home: Path) -> dict[str, str]:
        """Return the variables that the image sets, with the paths of a container's home."""
        found = {name: self.located(value, home) for name, value in self.image.environment}
        own_path = dict(self.image.environment).get("PATH")
        return found | {"PATH": self.path if own_path is None else search_path(own_path, self.image, home, self.bin)}

    def folder(self, home: Path) -> Path:
        """Return the folder in which a container starts."""
        found = Path(self.located(str(self.image.workdir), home))
        return found if found.is_relative_to(home) else home


class Environments:
    """Makes an environment at the first use of an image, and finds it again later.

    Args:
        cache: where they are kept. The default is ``~/.cache/cdk-airflow-ecs``, or below ``XDG_CACHE_HOME``.
        say: is told what takes long.
    """

    def __init__(self, cache: Path | None = None, say: Callable[[str], None] = lambda text: None) -> None:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._cache = cache or base / "cdk-airflow-ecs"
        self._say = say

    def of(self, image: str, build: ImageBuild | None = None) -> Environment:
        """Find or make the environment of an image.

        Args:
            image: its name.
            build: how it is built, if it is.

        Raises:
            Refusal: if it is not an image of Airflow, no Python fits, or its requirements cannot be resolved.
        """
        kind = None if build else kind_of(image)
        if kind in ("postgres", "redis"):
            return self._store(image, kind)
        parts = read_image(image, build)
        lock = _LOCKS / f"{parts.version}.txt"
        python = choose(parts.version, parts.python, locked=lock.exists())
        requirements = requirement_lines(parts)
        content = [lock.read_text() if lock.exists() else _date(parts.version), python.version, *requirements]
        content += [file.read_text() for file in parts.constraints]
        digest = hashlib.sha256("\0".join(content).encode()).hexdigest()[:10]
        folder = self._cache / "environments" / f"airflow-{parts.version}-python{python.minor}-{digest}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{folder}.lock", "w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if not (folder / ".ready").exists():
                self._say(f"installing Airflow {parts.version} for Python {python.minor}, once")
                self._make(folder, parts, python, lock, requirements)
                (folder / ".ready").touch()
        scripts = folder / "bin"
        return Environment(
            python=scripts / "python",
            bin=scripts,
            path=f"{scripts}:/usr/local/bin:/usr/bin:/bin",
            airflow_version=parts.version,
            image=parts,
            substitutions=tuple(_substitutions(parts, python)),
        )

    def kind_of(self, image: str) -> Kind | None:
        """See :func:`image.kind_of`."""
        return kind_of(image)

    def _store(self, image: str, kind: Kind) -> Environment:
        """A store's image: no Airflow in it, but the programs that its containers and health checks start."""
        folder = self._cache / "stores" / kind
        runs, entrypoint = programs(kind, folder)
        return Environment(
            python=Path(sys.executable),
            bin=folder,
            path=f"{folder}:/usr/local/bin:/usr/bin:/bin",
            airflow_version="",
            image=AirflowImageParts(version="", python="", entrypoint=entrypoint),
            substitutions=(f"the image is {image}; here {runs} runs",),
        )

    def _make(
        self, folder: Path, parts: AirflowImageParts, python: Interpreter, lock: Path, requirements: list[str]
    ) -> None:
        if shutil.disk_usage(folder.parent).free < 2 * 10**9:
            raise Refusal(f"less than 2 GB are free below {folder.parent}; Airflow needs one. Set XDG_CACHE_HOME")
        _uv("venv", "--quiet", "--clear", "--python", str(python.path), str(folder))
        to = ("--quiet", "--python", str(folder / "bin/python"))
        compiled = ("--compile-bytecode",)
        if lock.exists():
            _uv("pip", "sync", *to, *compiled, "--require-hashes", str(lock))
        else:
            wanted = f"apache-airflow[{extras_of(parts.version)}]=={parts.version}"
            broken = _BROKEN if parts.version.startswith("3.") else _BROKEN_2
            _uv("pip", "install", *to, *compiled, *_BINARIES, *_newest(parts.version), wanted, *broken)
        if requirements:
            self._say(f"installing {len(requirements)} requirements of the image")
            frozen = _uv("pip", "freeze", "--python", str(folder / "bin/python"))
            named = packages_of(requirements)
            constraints = folder / "constraints.txt"
            constraints.write_text("\n".join(line for line in frozen.splitlines() if package_of(line) not in named))
            wanted_file = folder / "requirements.txt"
            wanted_file.write_text("\n".join([f"apache-airflow=={parts.version}", *requirements]))
            _uv("pip", "install", *to, *compiled, "-r", str(wanted_file), "-c", str(constraints))


def _substitutions(parts: AirflowImageParts, python: Interpreter) -> list[str]:
    found = []
    if python.minor != parts.python:
        found.append(f"the image has Python {parts.python}; here it is {python.version}")
    if parts.packages:
        found.append(f"the image installs Debian packages that this machine may lack: {', '.join(parts.packages)}")
    return [*found, *parts.differences]


def _date(version: str) -> str:
    """The day up to which packages count for a release without a lock; empty for one we do not know."""
    released = json.loads(_RELEASES.read_text()).get(version)
    return (date.fromisoformat(released) + timedelta(days=1)).isoformat() if released else ""


def _newest(version: str) -> tuple[str, ...]:
    """What the official image of that release could contain: nothing newer than itself, but for pycurl's wheels."""
    day = _date(version)
    return ("--exclude-newer", day, "--exclude-newer-package", "pycurl=2026-01-01") if day else ()


def _uv(*arguments: str) -> str:
    """Run uv; what it says against a request is what the user has to read."""
    program = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        raise Refusal('uv was not found: `pip install "cdk-airflow-ecs[local]"` brings it')
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, env=environment)
    if ran.returncode:
        raise Refusal(f"`uv {' '.join(arguments[:2])}` could not do it:\n{ran.stderr.strip()[-3000:]}")
    return ran.stdout
