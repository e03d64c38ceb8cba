"""Checks of requirements.txt, which pip resolves when the image is built. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError

_LINE: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^]]*\])?\s*(?P<version>[<>=!~(@][^;]*)?(?:;.*)?"
)
_ELSEWHERE: Final = re.compile(
    r"-[rce]|--(requirement|constraint|editable)\b|\.{0,2}/|file:|.+@\s*file:|(-f|--find-links)[\s=]*(?!\S*://)\S"
)
# Airflow's constraints file, the first line of requirements.txt on Amazon MWAA.
_AIRFLOW_CONSTRAINTS: Final = re.compile(r"(-c|--constraint)\b[\s=]*[\"']?(\S*/)?constraints-[^/\s]*\.txt")
_LOGIN: Final = re.compile(r"://(?!git@)[^/\s]*@")
_OWN_DOCKERFILE: Final = "; or write your own Dockerfile in that directory"


def whole_lines(text: str) -> tuple[str, ...]:
    r"""Return the lines without comments, with continued lines joined.

    Examples:
        >>> whole_lines("pandas  # for reports\n\n# more\ngit+https://x/y.git#egg=y\n")
        ('pandas', 'git+https://x/y.git#egg=y')
    """
    lines = re.sub(r"\\\n", " ", text).splitlines()
    bare = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return tuple(line for line in bare if line)


def check_requirements(source: str, lines: Iterable[str]) -> None:
    """Raise ValueError for lines that the build cannot install, or that would store credentials in the image."""
    for line in lines:
        if _LOGIN.search(line):
            raise ValueError(
                f"{source}: a line has credentials in its URL, which everyone with access to the image could read. Use"
                f" a package index without credentials{_OWN_DOCKERFILE}, with a build secret"
            )
        if _AIRFLOW_CONSTRAINTS.match(line):
            raise IncompatibleArgumentsError(
                f"{source}: {validation.shown(line)} is redundant: the build passes the constraints of the cluster's"
                " Airflow to pip. Remove the line"
            )
        if _ELSEWHERE.match(line):
            raise ValueError(
                f"{source}: {validation.shown(line)} refers to another file, which the build does not have. Write its"
                f" lines here{_OWN_DOCKERFILE}"
            )
        if "--hash" in line:
            raise ValueError(
                f"{source}: {validation.shown(line.split()[0])} has a hash, so pip would require hashes of Airflow and"
                f" all its dependencies. Remove the hashes{_OWN_DOCKERFILE}"
            )
        if not (line.startswith("-") or "://" in line or _LINE.fullmatch(line)):
            raise ValueError(
                f"{source}: {validation.shown(line)} is not a requirement. Write one per line, such as pandas>=2.2"
            )


def check_airflow(source: str, lines: Iterable[str], version: AirflowVersion) -> None:
    """Raise an error if *lines* pin another Airflow release than the cluster's."""
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None or _normalized(match["name"]) not in ("apache-airflow", "apache-airflow-core"):
            continue
        pin = re.fullmatch(r"={2,3}\s*([^\s,]+)\s*", match["version"] or "")
        if pin and pin[1] != str(version):
            raise IncompatibleArgumentsError(
                f"{source}: {validation.shown(line)} is not Airflow {version}, the release of version=. Remove it:"
                " the image contains Airflow, and pip does not change it"
            )


def chosen_versions(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the packages for which *lines* restrict the version.

    Examples:
        >>> chosen_versions(["Flask_Login>=0.6", "pandas", "dbt-core ~= 1.9 ; python_version > '3.8'", "--pre"])
        ('dbt-core', 'flask-login')
    """
    matches = (_LINE.fullmatch(line) for line in lines)
    return tuple(sorted({_normalized(match["name"]) for match in matches if match and match["version"]}))


def asks_for(lines: Iterable[str], package: str, version: tuple[int, ...]) -> bool:
    """Return whether *lines* exclude releases of *package* before *version*. A package from a URL counts as newer.

    Examples:
        >>> asks_for(["Acme.Tools[all] >= 2.3, <3"], "acme-tools", (2, 2))
        True
        >>> asks_for(["acme-tools", "acme-tools!=2.1", "other>=3"], "acme-tools", (2, 2))
        False
    """
    matches = (_LINE.fullmatch(line) for line in lines)
    asked = [match["version"] or "" for match in matches if match and _normalized(match["name"]) == package]
    bounds = [found for text in asked for found in re.findall(r"(?:===?|~=|>=?)\s*(\d+(?:\.\d+)*)", text)]
    return any(text.startswith("@") for text in asked) or any(
        tuple(map(int, bound.split("."))) >= version for bound in bounds
    )


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
