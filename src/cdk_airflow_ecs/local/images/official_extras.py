"""Extras of the official image that local environments lack by default.

The list is from https://airflow.apache.org/docs/docker-stack/build-arg-ref.html. The
extras mysql and ldap are not offered, because they need a compiler.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cdk_airflow_ecs.local.refusal import Refusal

# Modules that each extra installs, in addition to its provider.
OFFICIAL_EXTRAS: Final[dict[str, tuple[str, ...]]] = {
    "async": ("eventlet", "gevent"),
    "cncf-kubernetes": ("kubernetes", "kubernetes_asyncio"),
    "docker": ("docker",),
    "elasticsearch": ("elasticsearch",),
    "ftp": (),
    "git": ("git",),
    "google": ("google.cloud", "googleapiclient", "pandas_gbq"),
    "graphviz": ("graphviz",),
    "grpc": ("grpc",),
    "hashicorp": ("hvac",),
    "http": (),
    "ldap": ("ldap",),
    "microsoft-azure": ("azure", "msal"),
    "mysql": ("MySQLdb", "mysql"),
    "odbc": ("pyodbc",),
    "openlineage": ("openlineage",),
    "pandas": ("numpy", "pandas"),
    "redis": (),
    "sendgrid": ("sendgrid",),
    "sftp": ("asyncssh",),
    "slack": ("slack_sdk",),
    "snowflake": ("snowflake",),
    "ssh": ("paramiko", "sshtunnel"),
    "statsd": ("statsd",),
    "virtualenv": ("virtualenv",),
}
_MODULE: Final = "_airflow_ecs_missing"
_HOOK: Final = Path(__file__).with_name("missing_module.py")


def checked_extras(names: Iterable[str]) -> tuple[str, ...]:
    """Return extras, sorted and without duplicates; raises a Refusal for unknown ones.

    Examples:
        >>> checked_extras(["pandas", "google", "pandas"])
        ('google', 'pandas')
    """
    found = sorted(set(names))
    for name in found:
        if name not in OFFICIAL_EXTRAS:
            known = ", ".join(OFFICIAL_EXTRAS)
            raise Refusal(f"--extras {name}: this extra is unknown or already installed. Choose from {known}")
    return tuple(found)


def explain_missing(packages: Path, version: str) -> None:
    """Make import errors in an environment (*packages*: its site-packages) name the extra to install."""
    modules = {name: extra for extra, names in OFFICIAL_EXTRAS.items() for name in names}
    modules |= {f"airflow.providers.{extra.replace('-', '.')}": extra for extra in OFFICIAL_EXTRAS}
    text = _HOOK.read_text(encoding="utf-8")
    (packages / f"{_MODULE}.py").write_text(f"{text}\n\ninstall({modules!r}, {version!r})\n", encoding="utf-8")
    (packages / f"{_MODULE}.pth").write_text(f"import {_MODULE}\n", encoding="utf-8")
