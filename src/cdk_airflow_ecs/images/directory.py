"""A directory that an image is built from: read and checked, nothing built yet. Pure.

Each file may stand at the top of the directory, or where the directories of other deployments often have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.images.requirements import check_airflow, check_requirements, whole_lines
from cdk_airflow_ecs.plan import Option
from cdk_airflow_ecs.tokens import is_token
from cdk_airflow_ecs.upload_exclusions import JUNK, shared_files

# By what the image needs: where it may stand.
_PLACES: Final = {
    "requirements.txt": ("requirements.txt", "requirements/requirements.txt"),
    "packages.txt": ("packages.txt",),
    "airflow.cfg": ("airflow.cfg", "configs/airflow.cfg"),
    "entrypoint.sh": ("entrypoint.sh", "scripts/entrypoint.sh"),
    "Dockerfile": ("Dockerfile",),
}
_FOLDERS: Final = ("config", "plugins", "dags")
_DOCUMENTS: Final = (".*", "*.md", "*.rst", "LICENSE*", "NOTICE*")
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+)?")
# Half of what ECS takes for one task definition, which is 64 KiB: a task may have two containers.
_MOST_OPTIONS: Final = 24_000
# Files that other platforms read (Amazon MWAA User Guide; Astro CLI, "Project structure"), and where each belongs here.
_ADVICE: Final = {
    "startup.sh": (
        "put the Debian packages that it installs into packages.txt, its variables into environment=, and its other"
        " commands into entrypoint.sh"
    ),
    "plugins.zip": "unpack it into plugins/",
    "include": (
        "move it into the folder of your DAGs, as dags/include: `import include` works there, and DAGs in S3 bring it"
        " along"
    ),
    "airflow_settings.yaml": (
        "it is for a laptop; put its connections and variables into Secrets Manager, or pass them in environment="
    ),
}
_NOT_ALONE: Final = "; or write a Dockerfile of your own in that directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDirectory:
    """What a directory says about an image.

    Args:
        path: the directory.
        packages: Debian packages.
        requirements: lines of requirements.txt, without comments, each whole.
        options: what airflow.cfg sets.
        options_file: where it stands, as the user knows it.
        files: where each file of the image is here, by its place in the image's build.
        dockerfile: a Dockerfile of the user's own.
    """

    path: Path
    packages: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    options: Mapping[Option, str]
    options_file: str = ""
    files: Mapping[str, Path]
    dockerfile: str | None = None

    def has(self, folder: str) -> bool:
        """Whether there are files for *folder*."""
        return any(name.startswith(f"{folder}/") for name in self.files)

    def check(self, version: AirflowVersion) -> None:
        """Refuse what contradicts the cluster's release.

        Raises:
            ValueError: if requirements.txt asks for another Airflow.
        """
        check_airflow(f"{self.path}: requirements.txt", self.requirements, version)


def read_directory(directory: str | Path) -> ImageDirectory:
    """Read *directory*.

    Raises:
        ValueError: if it is none, or holds what cannot become an image; in the user's words.
    """
    known = isinstance(directory, (str, Path)) and directory != "" and not is_token(directory)
    if not known or not Path(directory).is_dir():
        raise ValueError(
            f"AirflowImage.build: {validation.shown(directory)} is no folder here ({Path.cwd()}); give the folder that"
            " has your requirements.txt, plugins or Dockerfile"
        )
    path = Path(directory)
    found = {name: place for name, places in _PLACES.items() if (place := _place(path, name, places))}
    options = _read_options(found["airflow.cfg"]) if "airflow.cfg" in found else {}
    options_file = str(found.get("airflow.cfg", ""))
    if "Dockerfile" in found:
        text = _read(found["Dockerfile"])
        return ImageDirectory(path=path, options=options, options_file=options_file, files={}, dockerfile=text)
    _refuse_others(path)
    files = {
        f"{name}/{inner}": file
        for name in _FOLDERS
        for inner, file in shared_files("AirflowImage.build", path / name, within=path, readers="pull the image")
    }
    if misplaced := files.get("config/airflow.cfg"):
        raise ValueError(f"{misplaced} would not be read; move it to {path / 'airflow.cfg'}, whose options count")
    if "entrypoint.sh" in found:
        _check_script(found["entrypoint.sh"])
        files["entrypoint.sh"] = found["entrypoint.sh"]
    requirements = _requirements(found["requirements.txt"]) if "requirements.txt" in found else ()
    packages = tuple(_packages(found["packages.txt"])) if "packages.txt" in found else ()
    if not (files or requirements or packages or options):
        raise ValueError(
            f"AirflowImage.build: {path} has nothing for an image; it takes {_accepted()}. Leave image= out for the"
            " official image"
        )
    return ImageDirectory(
        path=path,
        packages=packages,
        requirements=requirements,
        options=options,
        options_file=options_file,
        files=files,
    )


def _accepted() -> str:
    return ", ".join((*_PLACES, *(f"{name}/" for name in _FOLDERS)))


def _place(path: Path, name: str, places: tuple[str, ...]) -> Path | None:
    found = [path / place for place in places if (path / place).is_file()]
    if len(found) > 1:
        raise ValueError(f"AirflowImage.build: {name} is there twice: {found[0]} and {found[1]}; remove one of them")
    return found[0] if found else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not text in UTF-8") from None


def _packages(file: Path) -> Iterator[str]:
    for line in whole_lines(_read(file)):
        if not _PACKAGE.fullmatch(line):
            raise ValueError(
                f"{file}: {validation.shown(line)} is no Debian package; write one name a line, such as git or"
                " libpq5=15.14-0+deb12u1"
            )
        yield line


def _requirements(file: Path) -> tuple[str, ...]:
    lines = whole_lines(_read(file))
    check_requirements(str(file), lines)
    return lines


def _read_options(file: Path) -> dict[Option, str]:
    """Read airflow.cfg as Airflow does."""
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as the documentation of configparser says
    try:
        parser.read_string(_read(file))
        found = {
            (section, name): value.strip() for section in parser.sections() for name, value in parser[section].items()
        }
    except ConfigError as error:
        raise ValueError(f"{file}: {' '.join(str(error).split())}") from None
    if parser.defaults():
        raise ValueError(f"{file}: Airflow has no section [DEFAULT]; write each option in its section")
    if odd := [name for option in found for name in option if name != name.lower()]:
        raise ValueError(
            f"{file}: Airflow does not find {validation.shown(odd[0])}; sections and options are in lower case"
        )
    if any("{{resolve:" in value for value in found.values()):
        raise ValueError(
            f"{file}: a dynamic reference would put the secret itself into the task definition; remove the option and"
            " pass an ecs.Secret in config="
        )
    size = sum(len(section) + len(name) + len(value) for (section, name), value in found.items())
    if size > _MOST_OPTIONS:
        raise ValueError(
            f"{file} sets {len(found)} options in {size} characters, and ECS takes 64 KiB for a task definition; keep"
            " those that differ from Airflow's defaults"
        )
    return found


def _check_script(file: Path) -> None:
    text = file.read_bytes().decode("utf-8", "replace")
    if not text.startswith("#!"):
        raise ValueError(f"{file} must begin with its interpreter, such as #!/bin/bash")
    first = text.splitlines()[0]
    if text.partition("\n")[0].endswith("\r"):
        raise ValueError(
            f"{file} has Windows line ends, and Linux would look for {validation.shown(first[2:])} with one; save it"
            " with \\n"
        )
    if "sh" in first and not re.search(r'^\s*exec\s.*"\$(@|\{@\})"', text, re.MULTILINE):
        raise ValueError(
            f'{file} must end with a line such as exec /entrypoint "$@": each container\'s command comes as its'
            " arguments, and stops when ECS asks it to only if exec starts it"
        )


def _refuse_others(path: Path) -> None:
    """Refuse what would silently stay outside of the image."""
    known = [path / place for places in _PLACES.values() for place in places]
    folders = [path, *(place.parent for place in known)]
    used = [*folders, *(path / name for name in _FOLDERS)]
    for folder in dict.fromkeys(folders):
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (entry in used and entry.is_dir()) or (entry in known and entry.is_file()):
                continue
            if any(fnmatch(entry.name, pattern) for pattern in (*JUNK, *_DOCUMENTS)):
                continue
            advice = _ADVICE.get(entry.name) or (
                f"move it out of {path}, or into config/, where Python finds it{_NOT_ALONE}"
            )
            raise ValueError(
                f"AirflowImage.build: {entry} would not be in the image, which takes {_accepted()}; {advice}"
            )
