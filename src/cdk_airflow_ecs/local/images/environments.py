"""Python environments that replace images, created with uv and shared by all local clusters of a user."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from cdk_airflow_ecs.airflow_extras import extras_of
from cdk_airflow_ecs.local.images.build import read_image
from cdk_airflow_ecs.local.images.container_home import fill, located, search_path
from cdk_airflow_ecs.local.images.image import AirflowImageParts, ImageBuild, Kind, kind_of
from cdk_airflow_ecs.local.images.interpreters import Interpreter, choose
from cdk_airflow_ecs.local.images.official_extras import OFFICIAL_EXTRAS, checked_extras, explain_missing
from cdk_airflow_ecs.local.images.requirement_lines import package_of, packages_of, requirement_lines
from cdk_airflow_ecs.local.images.store_images import programs
from cdk_airflow_ecs.local.refusal import Refusal

_LOCKS: Final = Path(__file__).parents[1] / "locks"
_RELEASES: Final = Path(__file__).parents[1] / "releases.json"
# With Celery provider 3.16.0, 3.17.0 and 3.17.1 workers find no registered tasks; celery 5.7 lacks a name that the
# provider imports; kombu 5.5 loses SQS connections.
_BROKEN: Final = (
    "apache-airflow-providers-celery!=3.16.0,!=3.17.0,!=3.17.1",
    "celery[redis,sqs]<5.7",
    "kombu!=5.5.*",
)
# Flask-Session 0.6 breaks Airflow 2.8.1's database migration; the fab provider of Airflow 3 needs 0.8.
_BROKEN_2: Final = (*_BROKEN, "flask-session<0.6")
_BINARIES: Final = ("--only-binary", "pycurl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The Python environment that replaces an image; *airflow_version* is empty for PostgreSQL and Redis.

    Args:
        bin: folder of its programs.
        path: PATH for containers whose image does not set it.
        image: content of the image besides Python packages.
        substitutions: differences from the image, as messages for the user.
    """

    python: Path
    bin: Path
    path: str
    airflow_version: str
    image: AirflowImageParts
    substitutions: tuple[str, ...] = ()

    def prepare(self, home: Path) -> None:
        """Copy the image's files into *home*, a container's home folder."""
        fill(home, self.image)

    def located(self, text: str, home: Path) -> str:
        """Replace image paths in *text* by local paths."""
        return located(text, self.image, home, self.bin)

    def variables(self, home: Path) -> dict[str, str]:
        """Return the image's environment variables, with local paths."""
        found = {name: self.located(value, home) for name, value in self.image.environment}
        own_path = dict(self.image.environment).get("PATH")
        return found | {"PATH": self.path if own_path is None else search_path(own_path, self.image, home, self.bin)}

    def folder(self, home: Path) -> Path:
        """Return the working directory of a container."""
        found = Path(self.located(str(self.image.workdir), home))
        return found if found.is_relative_to(home) else home


class Environments:
    """Creates and caches environments.

    Args:
        cache: default ``~/.cache/cdk-airflow-ecs``, or below ``XDG_CACHE_HOME``.
        say: receives a message before each slow step.
        extras: additional extras of the official image.
    """

    def __init__(
        self,
        cache: Path | None = None,
        say: Callable[[str], None] = lambda text: None,
        *,
        extras: Iterable[str] = (),
    ) -> None:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._cache = cache or base / "cdk-airflow-ecs"
        self._say = say
        self._extras = checked_extras(extras)

    def of(self, image: str, build: ImageBuild | None = None) -> Environment:
        """Return the environment of an image; create it if missing.

        Raises:
            Refusal: if the image or Python version is not supported, or requirements cannot be resolved.
        """
        kind = None if build else kind_of(image)
        if kind in ("postgres", "redis"):
            return self._store(image, kind)
        parts = read_image(image, build)
        lock = _LOCKS / f"{parts.version}.txt"
        python = choose(parts.version, parts.python, locked=lock.exists())
        recipe = _Recipe(
            parts=parts,
            python=python,
            lock=lock if lock.exists() else None,
            requirements=requirement_lines(parts),
            extras=() if parts.slim else self._extras,
        )
        folder = self._cache / "environments" / f"airflow-{parts.version}-python{python.minor}-{recipe.digest()}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{folder}.lock", "w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if not (folder / ".ready").exists():
                self._say(f"installing Airflow {parts.version} for Python {python.minor}, once")
                self._make(folder, recipe)
                if not parts.slim:
                    explain_missing(next(folder.glob("lib/python3*/site-packages"), folder), parts.version)
                (folder / ".ready").touch()
        scripts = folder / "bin"
        return Environment(
            python=scripts / "python",
            bin=scripts,
            path=f"{scripts}:/usr/local/bin:/usr/bin:/bin",
            airflow_version=parts.version,
            image=parts,
            substitutions=tuple(_substitutions(parts, python, recipe.extras)),
        )

    def kind_of(self, image: str) -> Kind | None:
        """See :func:`image.kind_of`."""
        return kind_of(image)

    def _store(self, image: str, kind: Kind) -> Environment:
        folder = self._cache / "stores" / kind
        runs, entrypoint = programs(kind, folder)
        return Environment(
            python=Path(sys.executable),
            bin=folder,
            path=f"{folder}:/usr/local/bin:/usr/bin:/bin",
            airflow_version="",
            image=AirflowImageParts(version="", python="", entrypoint=entrypoint),
            substitutions=(f"{runs} runs instead of the image {image}",),
        )

    def _make(self, folder: Path, recipe: _Recipe) -> None:
        if shutil.disk_usage(folder.parent).free < 2 * 10**9:
            raise Refusal(f"{folder.parent} must have 2 GB of free space. Free some, or set XDG_CACHE_HOME")
        lock, version, requirements = recipe.lock, recipe.parts.version, recipe.requirements
        recipe.venv(folder)
        # The committed lock file lacks additional extras, some of which need other versions of its packages.
        if lock is not None and not recipe.extras:
            recipe.install(folder, "sync", "--require-hashes", str(lock))
        else:
            recipe.install(folder, "install", *recipe.resolved())
        if not requirements:
            return
        self._say(f"installing {len(requirements)} requirements of the image")
        frozen = _uv("pip", "freeze", "--python", str(folder / "bin/python"))
        named = packages_of(requirements)
        pins = "\n".join(line for line in frozen.splitlines() if package_of(line) not in named)
        text = "\n".join([f"apache-airflow=={version}", *requirements])
        (folder / "constraints.txt").write_text(pins)
        (folder / "requirements.txt").write_text(text)
        wanted = ("-r", str(folder / "requirements.txt"))
        try:
            recipe.install(folder, "install", *wanted, "-c", str(folder / "constraints.txt"))
        except Refusal as pinned:
            # Retry without pins, because Airflow also accepts other versions than those of the lock file.
            self._say(
                "these requirements are incompatible with the installed versions; all packages are resolved together"
            )
            try:
                recipe.venv(folder)
                (folder / "requirements.txt").write_text(text)
                recipe.install(folder, "install", *recipe.resolved(), *wanted)
            except Refusal:
                raise pinned from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """The packages of one environment; *extras* are those passed with --extras."""

    parts: AirflowImageParts
    python: Interpreter
    lock: Path | None
    requirements: list[str]
    extras: tuple[str, ...]

    def digest(self) -> str:
        content = [self.lock.read_text() if self.lock else _date(self.parts.version), self.python.version]
        content += [*self.requirements, *(file.read_text() for file in self.parts.constraints)]
        content += ["slim" if self.parts.slim else "full", *self.extras]
        return hashlib.sha256("\0".join(content).encode()).hexdigest()[:10]

    def venv(self, folder: Path) -> None:
        _uv("venv", "--quiet", "--clear", "--python", str(self.python.path), str(folder))

    def install(self, folder: Path, action: str, *words: str) -> None:
        _uv("pip", action, "--quiet", "--python", str(folder / "bin/python"), "--compile-bytecode", *words)

    def resolved(self) -> tuple[str, ...]:
        """Return uv's arguments for Airflow with the package versions of its release date."""
        version = self.parts.version
        names = ",".join([extras_of(version), *(name for name in self.extras if name != "virtualenv")])
        wanted = [f"apache-airflow[{names}]=={version}", *(name for name in self.extras if name == "virtualenv")]
        broken = _BROKEN if version.startswith("3.") else _BROKEN_2
        return (*_BINARIES, *_newest(version), *wanted, *broken)


def _substitutions(parts: AirflowImageParts, python: Interpreter, extras: tuple[str, ...]) -> list[str]:
    found = []
    if python.minor != parts.python:
        found.append(f"the image has Python {parts.python}; the local environment has {python.version}")
    if parts.packages:
        found.append(f"the image installs Debian packages, which may be missing locally: {', '.join(parts.packages)}")
    missing = [] if parts.slim else [name for name in OFFICIAL_EXTRAS if name not in extras]
    if missing:
        found.append(
            f"the official image has more extras ({', '.join(missing)}); install some with `--extras NAME,NAME`"
        )
    return [*found, *parts.differences]


def _date(version: str) -> str:
    """Return the day after Airflow's release in ISO format; empty for an unknown release."""
    released = json.loads(_RELEASES.read_text()).get(version)
    return (date.fromisoformat(released) + timedelta(days=1)).isoformat() if released else ""


def _newest(version: str) -> tuple[str, ...]:
    """Return uv's arguments to exclude packages newer than the Airflow release, except pycurl's wheels."""
    day = _date(version)
    return ("--exclude-newer", day, "--exclude-newer-package", "pycurl=2026-01-01") if day else ()


def _uv(*arguments: str) -> str:
    program = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        raise Refusal('uv not found: install it with `pip install "cdk-airflow-ecs[local]"`')
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, env=environment)
    if ran.returncode:
        raise Refusal(f"`uv {' '.join(arguments[:2])}` failed:\n{ran.stderr.strip()[-3000:]}")
    return ran.stdout
