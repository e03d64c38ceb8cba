"""The lines of a requirements.txt: read and checked. pip resolves them when the image is built. Pure."""

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
# The first line of requirements.txt in Amazon MWAA, and what many Dockerfiles pass to pip.
_AIRFLOW_CONSTRAINTS: Final = re.compile(r"(-c|--constraint)\b[\s=]*[\"']?(\S*/)?constraints-[^/\s]*\.txt")
_LOGIN: Final = re.compile(r"://(?!git@)[^/\s]*@")
_OWN_DOCKERFILE: Final = "; or write a Dockerfile of your own in that directory"


def whole_lines(text: str) -> tuple[str, ...]:
    r"""Lines without comments, each whole where a backslash continues it.

    Examples:
        >>> whole_lines("pandas  # for reports\n\n# more\ngit+https://x/y.git#egg=y\n")
        ('pandas', 'git+https://x/y.git#egg=y')
    """
    lines = re.sub(r"\\\n", " ", text).splitlines()
    bare = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return tuple(line for line in bare if line)


def check_requirements(source: str, lines: Iterable[str]) -> None:
    """Refuse what cannot be installed in a build that has this one file, or would leave a login in the image.

    Raises:
        ValueError: naming *source* and the line.
    """
    for line in lines:
        if _LOGIN.search(line):
            raise ValueError(
                f"{source}: a line has a login in its address, which everyone who may pull the image could read; take"
                f" the package from an index without one{_OWN_DOCKERFILE}, with a build secret"
            )
        if _AIRFLOW_CONSTRAINTS.match(line):
            raise IncompatibleArgumentsError(
                f"{source}: {line!r} repeats what the build does. It gives pip the constraints of the cluster's"
                " Airflow: remove the line"
            )
        if _ELSEWHERE.match(line):
            raise ValueError(
                f"{source}: {validation.shown(line)} names another file, and the build has this one alone; write its"
                f" lines here{_OWN_DOCKERFILE}"
            )
        if "--hash" in line:
            raise ValueError(
                f"{source}: {validation.shown(line.split()[0])} has a hash; pip would then want hashes of Airflow and"
                f" of all that it needs. Remove the hashes{_OWN_DOCKERFILE}"
            )
        if not (line.startswith("-") or "://" in line or _LINE.fullmatch(line)):
            raise ValueError(
                f"{source}: {validation.shown(line)} is no requirement; write one a line, such as pandas>=2.2"
            )


def check_airflow(source: str, lines: Iterable[str], version: AirflowVersion) -> None:
    """Refuse another Airflow than the cluster's, before a build does.

    Raises:
        ValueError: naming *source* and the line.
    """
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None or _normalized(match["name"]) not in ("apache-airflow", "apache-airflow-core"):
            continue
        pin = re.fullmatch(r"={2,3}\s*([^\s,]+)\s*", match["version"] or "")
        if pin and pin[1] != str(version):
            raise IncompatibleArgumentsError(
                f"{source}: {validation.shown(line)} is not the Airflow {version} that version= says; remove the line:"
                " the image has Airflow, and pip is told to keep it as it is"
            )


def chosen_versions(lines: Iterable[str]) -> tuple[str, ...]:
    """The packages whose version *lines* say something about.

    Examples:
        >>> chosen_versions(["Flask_Login>=0.6", "pandas", "dbt-core ~= 1.9 ; python_version > '3.8'", "--pre"])
        ('dbt-core', 'flask-login')
    """
    matches = (_LINE.fullmatch(line) for line in lines)
    return tuple(sorted({_normalized(match["name"]) for match in matches if match and match["version"]}))


def asks_for(lines: Iterable[str], package: str, version: tuple[int, ...]) -> bool:
    """Whether *lines* admit no release of *package* before *version*. What stands at an address is taken for newer.

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
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
