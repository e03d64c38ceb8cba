"""Python environments in the place of images: made with uv, kept between runs, shared by all clusters of a user."""

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
        extras: extras of the official image that are installed beyond those that a cluster needs.
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

    def _make(self, folder: Path, recipe: _Recipe) -> None:
        if shutil.disk_usage(folder.parent).free < 2 * 10**9:
            raise Refusal(f"less than 2 GB are free below {folder.parent}; Airflow needs one. Set XDG_CACHE_HOME")
        lock, version, requirements = recipe.lock, recipe.parts.version, recipe.requirements
        recipe.venv(folder)
        # The locks hold no other extras, and versions that some of them do not admit.
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
            # Airflow admits other versions than those that are installed, and the official image may have them.
            self._say("they do not go with the installed versions; all of them are resolved together")
            try:
                recipe.venv(folder)
                (folder / "requirements.txt").write_text(text)
                recipe.install(folder, "install", *recipe.resolved(), *wanted)
            except Refusal:
                raise pinned from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """The packages of one environment.

    Args:
        parts: the image.
        python: the interpreter.
        lock: the lock of its release, if there is one.
        requirements: the lines that the image installs.
        extras: extras of the official image.
    """

    parts: AirflowImageParts
    python: Interpreter
    lock: Path | None
    requirements: list[str]
    extras: tuple[str, ...]

    def digest(self) -> str:
        """Return a text that is another one for other packages."""
        content = [self.lock.read_text() if self.lock else _date(self.parts.version), self.python.version]
        content += [*self.requirements, *(file.read_text() for file in self.parts.constraints)]
        content += ["slim" if self.parts.slim else "full", *self.extras]
        return hashlib.sha256("\0".join(content).encode()).hexdigest()[:10]

    def venv(self, folder: Path) -> None:
        """Make an empty environment."""
        _uv("venv", "--quiet", "--clear", "--python", str(self.python.path), str(folder))

    def install(self, folder: Path, action: str, *words: str) -> None:
        """Let uv install packages."""
        _uv("pip", action, "--quiet", "--python", str(folder / "bin/python"), "--compile-bytecode", *words)

    def resolved(self) -> tuple[str, ...]:
        """Return what uv is told to resolve the release, with its extras, as of its day."""
        version = self.parts.version
        names = ",".join([extras_of(version), *(name for name in self.extras if name != "virtualenv")])
        wanted = [f"apache-airflow[{names}]=={version}", *(name for name in self.extras if name == "virtualenv")]
        broken = _BROKEN if version.startswith("3.") else _BROKEN_2
        return (*_BINARIES, *_newest(version), *wanted, *broken)


def _substitutions(parts: AirflowImageParts, python: Interpreter, extras: tuple[str, ...]) -> list[str]:
    found = []
    if python.minor != parts.python:
        found.append(f"the image has Python {parts.python}; here it is {python.version}")
    if parts.packages:
        found.append(f"the image installs Debian packages that this machine may lack: {', '.join(parts.packages)}")
    missing = [] if parts.slim else [name for name in OFFICIAL_EXTRAS if name not in extras]
    if missing:
        found.append(
            f"the official image has more extras ({', '.join(missing)}); `--extras NAME,NAME` installs those you name"
        )
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
