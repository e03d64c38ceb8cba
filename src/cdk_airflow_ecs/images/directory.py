"""Reading and checks of the directory from which an image is built.

Files can be at the top of the directory, or where other deployment tools expect them.
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

# The accepted paths of each file, below the directory.
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
# Maximum characters of options: a task definition has at most 64 KiB, and its two containers repeat the options.
_MOST_OPTIONS: Final = 24_000
# Files of other platforms (Amazon MWAA User Guide; Astro CLI, "Project structure"), and where to move them.
_ADVICE: Final = {
    "startup.sh": (
        "put its Debian packages into packages.txt, its variables into environment=, and its other commands into"
        " entrypoint.sh"
    ),
    "plugins.zip": "unpack it into plugins/",
    "include": (
        "move it into the folder of your DAGs, as dags/include: `import include` works there, and S3Dags uploads it"
    ),
    "airflow_settings.yaml": (
        "it is for local development; put its connections and variables into Secrets Manager or environment="
    ),
}
_NOT_ALONE: Final = "; or write your own Dockerfile in that directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDirectory:
    """The contents of a directory for an image.

    Args:
        requirements: lines of requirements.txt, joined and without comments.
        options: options of airflow.cfg.
        options_file: path of airflow.cfg, for messages.
        files: local files by path in the build context.
        dockerfile: text of the user's Dockerfile.
    """

    path: Path
    packages: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    options: Mapping[Option, str]
    options_file: str = ""
    files: Mapping[str, Path]
    dockerfile: str | None = None

    def has(self, folder: str) -> bool:
        """Return whether the image gets files in *folder*."""
        return any(name.startswith(f"{folder}/") for name in self.files)

    def check(self, version: AirflowVersion) -> None:
        """Raise ValueError if requirements.txt pins another Airflow release than the cluster's."""
        check_airflow(f"{self.path}: requirements.txt", self.requirements, version)


def read_directory(directory: str | Path) -> ImageDirectory:
    """Read *directory*; raise ValueError if it does not exist or has unsupported contents."""
    known = isinstance(directory, (str, Path)) and directory != "" and not is_token(directory)
    if not known or not Path(directory).is_dir():
        raise ValueError(
            f"AirflowImage.build: directory must be a folder in {Path.cwd()}, got {validation.shown(directory)}. Pass"
            " the folder with your requirements.txt, plugins or Dockerfile"
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
        raise ValueError(f"{misplaced} would be ignored. Move it to {path / 'airflow.cfg'}")
    if "entrypoint.sh" in found:
        _check_script(found["entrypoint.sh"])
        files["entrypoint.sh"] = found["entrypoint.sh"]
    requirements = _requirements(found["requirements.txt"]) if "requirements.txt" in found else ()
    packages = tuple(_packages(found["packages.txt"])) if "packages.txt" in found else ()
    if not (files or requirements or packages or options):
        raise ValueError(
            f"AirflowImage.build: {path} has no files for an image, such as {_accepted()}. Omit image= for the"
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
        raise ValueError(f"AirflowImage.build: {name} exists twice: {found[0]} and {found[1]}. Remove one of them")
    return found[0] if found else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file} must be UTF-8 text") from None


def _packages(file: Path) -> Iterator[str]:
    for line in whole_lines(_read(file)):
        if not _PACKAGE.fullmatch(line):
            raise ValueError(
                f"{file}: {validation.shown(line)} is not a Debian package. Write one name per line, such as git or"
                " libpq5=15.14-0+deb12u1"
            )
        yield line


def _requirements(file: Path) -> tuple[str, ...]:
    lines = whole_lines(_read(file))
    check_requirements(str(file), lines)
    return lines


def _read_options(file: Path) -> dict[Option, str]:
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keeps upper case, for the error below
    try:
        parser.read_string(_read(file))
        found = {
            (section, name): value.strip() for section in parser.sections() for name, value in parser[section].items()
        }
    except ConfigError as error:
        raise ValueError(f"{file}: {' '.join(str(error).split())}") from None
    if parser.defaults():
        raise ValueError(f"{file}: Airflow has no section [DEFAULT]. Write each option in its section")
    if odd := [name for option in found for name in option if name != name.lower()]:
        raise ValueError(
            f"{file}: Airflow ignores {validation.shown(odd[0])}; sections and options must be in lower case"
        )
    if any("{{resolve:" in value for value in found.values()):
        raise ValueError(
            f"{file}: a dynamic reference would put the secret as plain text into the task definition. Remove the"
            " option and pass an ecs.Secret in config="
        )
    size = sum(len(section) + len(name) + len(value) for (section, name), value in found.items())
    if size > _MOST_OPTIONS:
        raise ValueError(
            f"{file} sets {len(found)} options in {size} characters, but a task definition has at most 64 KiB. Keep"
            " only those that differ from Airflow's defaults"
        )
    return found


def _check_script(file: Path) -> None:
    text = file.read_bytes().decode("utf-8", "replace")
    if not text.startswith("#!"):
        raise ValueError(f"{file} must begin with an interpreter, such as #!/bin/bash")
    first = text.splitlines()[0]
    if text.partition("\n")[0].endswith("\r"):
        raise ValueError(
            f"{file} has Windows line endings, which Linux would treat as part of {validation.shown(first[2:])}."
            " Save the file with \\n line endings"
        )
    if "sh" in first and not re.search(r'^\s*exec\s.*"\$(@|\{@\})"', text, re.MULTILINE):
        raise ValueError(
            f'{file} must end with a line such as exec /entrypoint "$@". Each container\'s command is passed as'
            " arguments, and receives ECS's stop signal only if it is started with exec"
        )


def _refuse_others(path: Path) -> None:
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
                f"move it out of {path}, or into config/, from which Python can import it{_NOT_ALONE}"
            )
            raise ValueError(
                f"AirflowImage.build: {entry} would not be in the image, which accepts {_accepted()}; {advice}"
            )
