"""A program that reads options and connects as Airflow does; run by Airflow's Python in a container's environment.

The argument is a JSON list of sections and options; the output is JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

_IS_ENCRYPTED = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")


def database() -> dict:
    """Connect to the metadata database with the URL that Airflow reads."""
    url = make_url(conf.get("database", "sql_alchemy_conn"))
    with create_engine(url).connect() as connection:
        encrypted = connection.execute(_IS_ENCRYPTED).scalar()
    found = {"user": url.username, "password": url.password, "encrypted": encrypted}
    try:
        from airflow.utils.session import create_session_async
    except ImportError:
        return found  # Airflow 2 has no asynchronous database session

    async def asynchronous() -> bool:
        async with create_session_async() as session:
            return await session.scalar(_IS_ENCRYPTED)

    return {**found, "asynchronous_encrypted": asyncio.run(asynchronous())}


def broker() -> dict:
    """Connect to the broker and result backend with the URLs and options that Celery reads."""
    from airflow.providers.celery.executors.celery_executor_utils import app
    from kombu.utils.url import parse_url

    app.connection().ensure_connection(max_retries=1, timeout=60)
    return {
        "broker": parse_url(app.conf.broker_url),
        "result_backend": parse_url(app.conf.result_backend),
        "result_backend_answers": app.backend.client.ping(),
        "options": dict(app.conf.broker_transport_options),
    }


def main() -> None:
    """Print the result as JSON in the last line."""
    ProvidersManager().initialize_providers_configuration()
    found: dict = {"options": [conf.get(section, option) for section, option in json.loads(sys.argv[1])]}
    if "METADATA_HOST" in os.environ:
        found["database"] = database()
    if "BROKER_HOST" in os.environ:
        found["celery"] = broker()
    print()
    print(json.dumps(found, default=str), flush=True)
    os._exit(0)  # a regular exit would log errors of the asynchronous connection pool


main()
