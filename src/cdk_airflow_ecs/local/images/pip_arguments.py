"""Parses the arguments of pip install."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cdk_airflow_ecs.local.images.image import AirflowImageParts
from cdk_airflow_ecs.local.refusal import Refusal

_FILES: Final = ("-r", "--requirement", "--requirements")
_CONSTRAINTS: Final = ("-c", "--constraint", "--constraints")
# Options of pip that uv supports in a requirements file.
_SOURCES: Final = {
    "-i": "--index-url", "--index-url": "--index-url", "--extra-index-url": "--extra-index-url",
    "-f": "--find-links", "--find-links": "--find-links", "--no-binary": "--no-binary",
    "--only-binary": "--only-binary",
}  # fmt: skip
_VALUES_WITHOUT_EFFECT: Final = frozenset({
    "--upgrade-strategy", "--trusted-host", "--timeout", "--default-timeout", "--retries", "--progress-bar",
    "--root-user-action", "--proxy", "--cert", "--python", "--cache-dir", "--log", "--link-mode", "--index-strategy",
})  # fmt: skip
_WITHOUT_EFFECT: Final = frozenset({
    "-U", "--upgrade", "-I", "--ignore-installed", "--force-reinstall", "--no-cache-dir", "--no-cache", "--user",
    "-q", "-qq", "--quiet", "-v", "--verbose", "--disable-pip-version-check", "--no-warn-script-location",
    "--prefer-binary", "--compile", "--no-compile", "--system", "--break-system-packages", "--no-input",
    "--no-color", "--isolated", "--no-build-isolation", "--use-pep517", "--no-python-version-warning",
    "--compile-bytecode", "--reinstall", "--no-progress", "--native-tls",
})  # fmt: skip
_AIRFLOW: Final = ("apache-airflow", "apache-airflow-core")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipArguments:
    """The arguments of one `pip install`; *differences*: messages for the user about ignored options."""

    requirements: tuple[Path | str, ...]
    constraints: tuple[Path, ...] = ()
    differences: tuple[str, ...] = ()

    @classmethod
    def read(
        cls,
        arguments: list[str],
        parts: AirflowImageParts,
        file: Callable[[str], Path | None],
        refusal: Callable[[str], Refusal],
    ) -> PipArguments:
        """Parse the words after ``pip install``; raises a Refusal if something is not supported.

        *file* returns the local file of an image path, *refusal* creates a Refusal with a reason.
        """
        requirements, constraints, differences = list[Path | str](), list[Path](), list[str]()
        words = iter(_attached(arguments))
        for word in words:
            if word in _FILES:
                name = next(words, "")
                found = file(name)
                if found is None or not found.is_file():
                    raise refusal(f"{name} is not in the build context")
                requirements.append(found)
            elif word in _CONSTRAINTS:
                constraints += _constraints(next(words, ""), file, refusal)
            elif word in _SOURCES:
                requirements.append(f"{_SOURCES[word]} {next(words, '')}")
            elif word in _VALUES_WITHOUT_EFFECT:
                next(words, None)
            elif word in ("--no-deps", "--no-dependencies"):
                differences.append(
                    "the image installs packages without dependencies (--no-deps); locally they are installed"
                )
            elif word.startswith("-") and word not in _WITHOUT_EFFECT:
                raise refusal(f"pip option {word} is not supported")
            elif not word.startswith("-") and (wanted := _requirement(word, parts, refusal)):
                requirements.append(wanted)
        return cls(requirements=tuple(requirements), constraints=tuple(constraints), differences=tuple(differences))


def _attached(arguments: list[str]) -> Iterator[str]:
    """Split options with attached values, such as --option=value and -rFILE, into two words."""
    for word in arguments:
        if word.startswith("--") and "=" in word:
            name, _, value = word.partition("=")
            yield from (name, value)
        elif re.match(r"-[rcif].", word):
            yield from (word[:2], word[2:])
        else:
            yield word


def _constraints(name: str, file: Callable[[str], Path | None], refusal: Callable[[str], Refusal]) -> tuple[Path, ...]:
    """Return a constraints file; none for Airflow's own, which the environment applies anyway."""
    found = file(name)
    if found is not None:
        return (found,)
    is_official = name.startswith("https://raw.githubusercontent.com/apache/airflow/") or name.endswith(
        "/constraints.txt"
    )
    if not is_official:
        raise refusal(f"the constraints file {name} is not in the build context")
    return ()


def _requirement(word: str, parts: AirflowImageParts, refusal: Callable[[str], Refusal]) -> str | None:
    if re.match(r"\.{0,2}/|\.{1,2}(\[|$)|file:", word):
        raise refusal(f"{word} is a file or folder of the image; only packages from an index or URL are supported")
    try:
        wanted = Requirement(word)
    except InvalidRequirement as error:
        if re.match(r"(git|hg|svn|bzr)\+|https?:", word):
            return word
        raise refusal(f"{word!r} is not a requirement") from error
    if canonicalize_name(wanted.name) not in _AIRFLOW:
        return word
    if wanted.specifier and not wanted.specifier.contains(parts.version, prereleases=True):
        raise refusal(f"pip must install the image's Airflow {parts.version}, not another release")
    return f"{wanted.name}[{','.join(sorted(wanted.extras))}]" if wanted.extras else None
