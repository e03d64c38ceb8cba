"""The files of an image: targets of COPY and ADD, and the mapping to local files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from cdk_airflow_ecs.local.images.dockerfile import Instruction, Lookup
from cdk_airflow_ecs.local.images.image import USER_HOME, AirflowImageParts

SCRIPTS: Final = (PurePosixPath("/entrypoint.sh"), PurePosixPath("/entrypoint"))
# Image folders that only the build reads.
TEMPORARY: Final = tuple(map(PurePosixPath, ("/tmp", "/var/tmp", "/var/cache", "/build", "/root")))  # noqa: S108
_PACKAGES: Final = USER_HOME / ".local"  # Python packages of the official images
_FOLDERS: Final = tuple(map(PurePosixPath, ("/", "/tmp", "/opt", "/home", "/root", "/usr/local")))  # noqa: S108
_FLAGS: Final = ("--chown", "--chmod", "--link", "--from", "--keep-git-dir", "--checksum")
_ARCHIVE: Final = re.compile(r".*\.(tar|tar\.(gz|bz2|xz|zst)|tgz|tbz2?|txz)", re.IGNORECASE)
_REMOTE: Final = re.compile(r"(https?|ftp|git|ssh)://|git@")


def resolved(parts: AirflowImageParts, path: PurePosixPath) -> PurePosixPath | None:
    """Return an image path relative to the container's home; None if it is outside.

    Examples:
        >>> resolved(AirflowImageParts(version="", python=""), PurePosixPath("/opt/airflow/dags"))
        PurePosixPath('dags')
    """
    for home in parts.homes:
        if path.is_relative_to(home):
            return path.relative_to(home)
    return None


def source_of(parts: AirflowImageParts, path: PurePosixPath) -> Path | None:
    """Return the local file or folder of an image path, or None."""
    for source, place in reversed(parts.files):
        if path.is_relative_to(place) and (found := source / path.relative_to(place)).exists():
            return found
    return None


def is_temporary(path: PurePosixPath) -> bool:
    """Return whether *path* is needed only during the build."""
    return any(path.is_relative_to(each) for each in TEMPORARY)


def copied(parts: AirflowImageParts, each: Instruction, lookup: Lookup, context: Path) -> AirflowImageParts:
    """Interpret COPY or ADD from the build context; raises a Refusal if source or target is not supported."""
    sources, target = _arguments(each, lookup)
    found: list[Path] = []
    for source in sources:
        if _REMOTE.match(source):
            raise each.refusal("remote files are not supported")
        matches = _matches(context, source)
        if not matches:
            raise each.refusal(f"file not found in the build context: {source}")
        if each.word == "ADD" and any(_ARCHIVE.fullmatch(path.name) and path.is_file() for path in matches):
            raise each.refusal("archives are not supported")
        found += matches
    return _put(parts, each, found, target)


def copied_from_stage(
    parts: AirflowImageParts, stage: AirflowImageParts, each: Instruction, lookup: Lookup
) -> AirflowImageParts:
    """Interpret COPY --from an earlier stage, for Python packages and files of the build context.

    Raises a Refusal for files that the stage creates itself.
    """
    sources, target = _arguments(each, lookup)
    found: list[Path] = []
    for source in sources:
        path = PurePosixPath("/") / source
        if path == _PACKAGES and parts.workdir / target == _PACKAGES:
            if (stage.version, stage.python) != (parts.version, parts.python):
                raise each.refusal(
                    f"the packages of that stage are for Airflow {stage.version} on Python {stage.python}"
                )
            requirements = (*parts.requirements, *stage.requirements)
            parts = replace(parts, requirements=requirements, constraints=(*parts.constraints, *stage.constraints))
        elif own := source_of(stage, path):
            found.append(own)
        else:
            raise each.refusal(f"the other stage must copy {source} from the build context")
    return _put(parts, each, found, target)


def _arguments(each: Instruction, lookup: Lookup) -> tuple[list[str], str]:
    for flag in each.flags:
        if flag.partition("=")[0] not in _FLAGS:
            raise each.refusal(f"option {flag} is not supported")
    *sources, target = each.words(lookup) or [""]
    if not sources or not target:
        raise each.refusal("source or target is missing")
    return sources, target


def _matches(context: Path, source: str) -> list[Path]:
    root = context.resolve()
    relative = str(PurePosixPath("/", source).relative_to("/"))
    found = sorted(root.glob(relative)) if re.search(r"[*?\[]", relative) else [root / relative]
    return [path for path in (each.resolve() for each in found) if path.exists() and path.is_relative_to(root)]


def _put(parts: AirflowImageParts, each: Instruction, sources: Iterable[Path], target: str) -> AirflowImageParts:
    """Add files or folders at *target*, which may be a folder even without trailing slash."""
    sources = list(sources)
    place = PurePosixPath("/", *(parts.workdir / target).parts[1:])
    if ".." in place.parts:
        raise each.refusal("the target must not contain ..")
    is_folder = target.endswith(("/", "/.")) or target == "." or len(sources) > 1 or _is_folder(parts, place)
    for source in sources:
        own = place / source.name if source.is_file() and is_folder else place
        if own in SCRIPTS:
            parts = replace(parts, script=source)
        elif own.is_relative_to(_PACKAGES) or not (
            resolved(parts, own) is not None or is_temporary(own) or _is_requirements(source)
        ):
            homes = " and ".join(map(str, parts.homes))
            raise each.refusal(f"only files below {homes} are supported, got {own}")
        else:
            parts = replace(parts, files=(*parts.files, (source, own)))
    return parts


def _is_folder(parts: AirflowImageParts, place: PurePosixPath) -> bool:
    known = {*_FOLDERS, *parts.homes, parts.workdir, *parts.folders}
    known |= {home / name for home in parts.homes for name in ("dags", "logs", "plugins", "config")}
    for source, own in parts.files:
        known |= {own, *own.parents} if source.is_dir() else set(own.parents)
    return place in known or bool((found := source_of(parts, place)) and found.is_dir())


def _is_requirements(path: Path) -> bool:
    return path.is_file() and path.suffix in (".txt", ".in") and path.name != "airflow.cfg"
