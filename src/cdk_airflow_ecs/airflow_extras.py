"""The extras of Airflow that a cluster needs. Pure, and free of imports: the local runner reads it without CDK."""

from __future__ import annotations

from typing import Final

# Deferrable operators need aiobotocore; "redis", because the celery provider of 2.8 brings no client of its own.
_EXTRAS: Final = ("aiobotocore", "amazon", "celery", "http", "postgres", "redis", "statsd")
_EXTRAS_3: Final = (*_EXTRAS, "fab", "git")


def extras_of(version: str) -> str:
    """Return the extras that a cluster needs. The full image has all of them, a slim one none.

    Examples:
        >>> extras_of("2.8.4")
        'aiobotocore,amazon,celery,http,postgres,redis,statsd'
    """
    return ",".join(_EXTRAS if version.startswith("2.") else _EXTRAS_3)
