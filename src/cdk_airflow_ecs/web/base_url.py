"""Checks of Airflow's base URL."""

from __future__ import annotations

from urllib.parse import urlsplit

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.secret_detection import secret_in
from cdk_airflow_ecs.tokens import is_token


def check_base_url(name: str, url: object) -> None:
    """Raise an error if a base URL contains credentials or a path.

    With a path, Airflow 2.11.2 returns 404 for /health, and Airflow 3.3.2 for /execution/health.
    """
    if why := secret_in(url):
        raise ValueError(
            f"{name} looks like a secret (by {why}), but Airflow shows it to all users. Remove login and token from it"
        )
    parts = urlsplit(url if isinstance(url, str) and not is_token(url) else "")
    validation.host(name, parts.hostname)
    path = parts.path.rstrip("/")
    if path:
        raise IncompatibleArgumentsError(
            f"{name} must not have a path, got {validation.shown(path)}: Airflow would serve nothing above it, where"
            ' health checks and workers connect. Use a separate host name, such as "https://airflow.example.com"'
        )
