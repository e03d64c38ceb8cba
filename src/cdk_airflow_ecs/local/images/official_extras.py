"""The extras of the full official image that a local environment lacks, and the modules by which DAGs notice.

https://airflow.apache.org/docs/docker-stack/build-arg-ref.html has the list. mysql and ldap need a compiler.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cdk_airflow_ecs.local.refusal import Refusal

# Each extra with the modules that it brings, beside those of the provider of its name.
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
    """Return extras in a fixed order.

    Raises:
        Refusal: if the official image has no such extra.

    Examples:
        >>> checked_extras(["pandas", "google", "pandas"])
        ('google', 'pandas')
    """
    found = sorted(set(names))
    for name in found:
        if name not in OFFICIAL_EXTRAS:
            known = ", ".join(OFFICIAL_EXTRAS)
            raise Refusal(f"--extras {name}: the official image has no such extra that is not here. There are {known}")
    return tuple(found)


def explain_missing(packages: Path, version: str) -> None:
    """Let imports that fail in an environment say which extra brings the module.

    Args:
        packages: the environment's site-packages.
        version: the Airflow release.
    """
    modules = {name: extra for extra, names in OFFICIAL_EXTRAS.items() for name in names}
    modules |= {f"airflow.providers.{extra.replace('-', '.')}": extra for extra in OFFICIAL_EXTRAS}
    text = _HOOK.read_text(encoding="utf-8")
    (packages / f"{_MODULE}.py").write_text(f"{text}\n\ninstall({modules!r}, {version!r})\n", encoding="utf-8")
    (packages / f"{_MODULE}.pth").write_text(f"import {_MODULE}\n", encoding="utf-8")
