"""The URL that Airflow builds its links with."""

from __future__ import annotations

from urllib.parse import urlsplit

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.secret_detection import secret_in
from cdk_airflow_ecs.tokens import is_token


def check_base_url(name: str, url: object) -> None:
    """Refuse a URL with a login, or with a path: neither health checks nor workers ask below one.

    2.11.2 then answers /health with 404, and 3.3.2 /execution/health.

    Raises:
        ValueError: naming the path, or saying what is secret.
    """
    if why := secret_in(url):
        raise ValueError(
            f"{name} looks like a secret (by {why}), and Airflow shows it to everybody; leave login and token out of it"
        )
    parts = urlsplit(url if isinstance(url, str) and not is_token(url) else "")
    validation.host(name, parts.hostname)
    path = parts.path.rstrip("/")
    if path:
        raise IncompatibleArgumentsError(
            f"{name} has the path {validation.shown(path)}: Airflow would answer below it alone, where neither health"
            ' checks nor workers ask; give Airflow a name of its own, such as "https://airflow.example.com"'
        )
