"""Image names. Pure."""

from __future__ import annotations

import re
from typing import Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.secret_detection import secret_in
from cdk_airflow_ecs.tokens import is_token

_OFFICIAL: Final = re.compile(r"(?:docker\.io/)?apache/airflow:(?:slim-)?(\d+\.\d+\.\d+)(?:[-@].*)?")
# A tag (Amazon ECR API Reference, ImageIdentifier; OCI distribution specification).
_LABEL: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_PART: Final = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?")
# Hosts of private ECR registries (Amazon ECR User Guide, "Private registries" and "Dual-stack endpoints"):
# 123456789012.dkr.ecr.REGION.amazonaws.com, dkr.ecr-fips, dkr-ecr.REGION.on.aws, and the domains of other partitions.
# The account may be a token.
_ECR: Final = re.compile(r"[.}]dkr[.-]ecr(-fips)?\.")
# Only releases of Airflow, so that the user's own numbers, such as 1.0.3, do not match.
_AIRFLOW_RELEASE: Final = re.compile(
    r"(?:slim-|v)?((?:1\.10|[23]\.\d+)\.\d+(?!\d)|(?:1\.10|2\.(?:[89]|1[01])|3\.[0-3])(?![.\d]))"
)
# Publishers whose tags are always releases of Airflow, such as bitnami/airflow:2.
_PUBLISHED: Final = re.compile(r"(?:.*/)?(?:apache|bitnami|bitnamilegacy|puckel)/[\w-]*airflow[\w-]*")
_PUBLISHED_RELEASE: Final = re.compile(r"(?:slim-|v)?([123](?:\.\d+){,2})(?![.\d])")
# Astro Runtime ("Astro Runtime architecture"): 3.0-1 has Airflow 3.0; major releases 4 to 13 have Airflow 2.2 to 2.11.
_ASTRO: Final = re.compile(r"(?:.*/)?astro-runtime|astrocrpublic\.azurecr\.io/runtime")
_ASTRO_RELEASE: Final = re.compile(r"(\d+)\.(\d+)(-\d|\.\d)")


def check_release(source: str, name: str, version: AirflowVersion) -> None:
    """Raise an error if *name*, from the argument or file *source*, is an official image of another release."""
    match = _OFFICIAL.fullmatch(name)
    if match and match[1] != str(version):
        raise IncompatibleArgumentsError(
            f"{source} {name} is not Airflow {version}, the release of version=. Change one of them"
        )


def check_tag(name: str, tag: str) -> None:
    """Raise ValueError, about the argument *name*, unless *tag* is a tag or a digest."""
    if not (is_token(tag) or _LABEL.fullmatch(tag) or _DIGEST.fullmatch(tag)):
        raise ValueError(
            f'{name} must be a tag such as "3.3.2-1", or "sha256:" and 64 hexadecimal digits; got'
            f" {validation.shown(tag)}"
        )


def in_ecr(name: str) -> bool:
    """Return whether *name* is in a private Amazon ECR registry, which requires AWS permissions.

    Examples:
        >>> in_ecr("123456789012.dkr-ecr.eu-west-1.on.aws/airflow:1"), in_ecr("public.ecr.aws/acme/airflow:1")
        (True, False)
    """
    return bool(_ECR.search(name.partition("/")[0].lower()))


def fault(name: str) -> str | None:
    """Return why *name* is not an image name, or None if it is or may be one.

    Examples:
        >>> fault("ghcr.io/Acme/airflow:1"), fault("localhost:5000/airflow:1")
        ("'Acme' is not in lower case, as repository names must be", None)
    """
    if is_token(name) or secret_in(name):
        return None if is_token(name) else f"it holds {secret_in(name)}"
    rest, at, digest = name.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return "@ must be followed by a digest, sha256: and 64 hexadecimal digits"
    first, _, path = rest.partition("/")
    # Docker's rule for whether the first part of a name is a registry.
    if path and ("." in first or ":" in first or first == "localhost"):
        if not _HOST.fullmatch(first):
            return f"{validation.shown(first)} is not the host name of a registry"
    else:
        path = rest
    path, colon, tag = path.partition(":")
    if colon and not _LABEL.fullmatch(tag):
        return f"{validation.shown(tag)} is not a tag"
    for part in path.split("/"):
        if not _PART.fullmatch(part):
            why = "in lower case, as repository names must be" if _PART.fullmatch(part.lower()) else "a name"
            return f"{validation.shown(part)} is not {why}"
    return None


def check_name(argument: str, name: str, example: str) -> None:
    """Raise ValueError with the reason if *name* is not an image name."""
    if why := fault(name):
        given = validation.shown(name)
        raise ValueError(f'{argument} must be an image name such as "{example}", got {given}: {why}')


def check_public_image(argument: str, given: object, example: str) -> None:
    """Raise ValueError if an image requires credentials, or its name has no release."""
    validation.text(argument, given, example, required=True)
    if not isinstance(given, str):
        return
    if in_ecr(given):
        raise ValueError(
            f'{argument} must be an image that requires no login, such as "{example}", got {validation.shown(given)},'
            " which is in a private registry"
        )
    check_name(argument, given, example)
    if moves(given):
        raise ValueError(
            f'{argument} must include a release, such as "{example}", so that restarts use the same image; got'
            f" {validation.shown(given)}"
        )


def other_release(name: str, version: AirflowVersion) -> str | None:
    """Return the Airflow release that *name* seems to have, unless it is the cluster's.

    Examples:
        >>> other_release("puckel/docker-airflow:1.10.9", AirflowVersion.V3_3)
        '1.10.9'
        >>> other_release("bitnami/airflow:2.10", AirflowVersion.V3_3)
        '2.10'
    """
    repository, _, tag = name.partition("@")[0].rpartition(":")
    if is_token(name):
        return None
    if _ASTRO.fullmatch(repository):
        named = _astro_release(tag)
    else:
        pattern = _PUBLISHED_RELEASE if _PUBLISHED.fullmatch(repository) else _AIRFLOW_RELEASE
        match = pattern.match(tag)
        named = match[1] if match and "airflow" in repository else None
    return named if named and is_other(named, version) else None


def is_other(release: str, version: AirflowVersion) -> bool:
    """Return whether *version* is not of *release*, which may be abbreviated, such as "3" or "3.3"."""
    return not f"{version}.".startswith(f"{release}.")


def _astro_release(tag: str) -> str | None:
    match = _ASTRO_RELEASE.match(tag)
    if match is None:
        return None
    major, minor, patch = match.groups()
    if patch.startswith("-"):
        return f"{major}.{minor}"
    return f"2.{int(major) - 2}" if 4 <= int(major) <= 13 else None


def on_docker_hub(name: str) -> bool:
    """Return whether *name* is pulled from Docker Hub.

    Examples:
        >>> [on_docker_hub(name) for name in ("acme/airflow:1", "docker.io/acme/airflow:1", "ghcr.io/acme/airflow:1")]
        [True, True, False]
    """
    host, slash, _ = name.partition("/")
    elsewhere = slash and ("." in host or ":" in host or host == "localhost")
    return not is_token(name) and (not elsewhere or host in ("docker.io", "index.docker.io", "registry-1.docker.io"))


def moves(name: str) -> bool:
    """Return whether *name* has no tag or the tag "latest".

    Examples:
        >>> [moves(name) for name in ("acme/airflow", "acme/airflow:latest", "localhost:5000/airflow:1")]
        [True, True, False]
    """
    if is_token(name) or "@" in name:
        return False
    return name.rpartition("/")[2].partition(":")[2] in ("", "latest")


def image_of(name: str) -> str:
    """Return how messages refer to the image of component *name*."""
    return f"the image of {'this cluster' if name == 'airflow' else name}"
