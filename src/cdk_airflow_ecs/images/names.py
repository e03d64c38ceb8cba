"""The names of images: what they say of the image, before anybody can pull it. Pure."""

from __future__ import annotations

import re
from typing import Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.tokens import is_token

_OFFICIAL: Final = re.compile(r"(?:docker\.io/)?apache/airflow:(?:slim-)?(\d+\.\d+\.\d+)(?:[-@].*)?")
# Amazon ECR API Reference, ImageIdentifier; the OCI distribution specification.
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256:[0-9a-f]{64}")


def check_release(source: str, name: str, version: AirflowVersion) -> None:
    """Refuse an image of the Apache Airflow project that has another release than the cluster.

    Raises:
        ValueError: naming *source* and both.
    """
    match = _OFFICIAL.fullmatch(name)
    if match and match[1] != str(version):
        raise ValueError(
            f"{source} {name} is another Airflow than the {version} that version= says; change one of them"
        )


def check_tag(name: str, tag: str) -> None:
    """Refuse what is neither tag nor digest.

    Raises:
        ValueError: naming the argument.
    """
    if not is_token(tag) and not _TAG.fullmatch(tag):
        raise ValueError(
            f'{name} is a tag such as "3.3.2-1", or a digest of 64 digits after "sha256:"; got {validation.shown(tag)}'
        )


def moves(name: str) -> bool:
    """Whether *name* is another image after somebody pushed to it.

    Examples:
        >>> [moves(name) for name in ("acme/airflow", "acme/airflow:latest", "localhost:5000/airflow:1")]
        [True, True, False]
    """
    if is_token(name) or "@" in name:
        return False
    return name.rpartition("/")[2].partition(":")[2] in ("", "latest")


def image_of(name: str) -> str:
    """How a message calls the image of *name*."""
    return f"the image of {'this cluster' if name == 'airflow' else name}"
