"""Airflow's extras that a cluster needs. Imports nothing, because the local runner uses it without CDK."""

from __future__ import annotations

from typing import Final

# Deferrable operators need aiobotocore. The celery provider of 2.8 does not install a Redis client.
_EXTRAS: Final = ("aiobotocore", "amazon", "celery", "http", "postgres", "redis", "statsd")
_EXTRAS_3: Final = (*_EXTRAS, "fab", "git")


def extras_of(version: str) -> str:
    """Return the extras for an Airflow release; the full official image includes them, a slim one does not.

    Examples:
        >>> extras_of("2.8.4")
        'aiobotocore,amazon,celery,http,postgres,redis,statsd'
    """
    return ",".join(_EXTRAS if version.startswith("2.") else _EXTRAS_3)
