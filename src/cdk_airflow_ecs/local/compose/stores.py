"""The stores of a Compose project: PostgreSQL, Valkey or Redis, ElasticMQ and DynamoDB local."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

QUEUES: Final = "queues"
RESULTS: Final = "results"


def database(name: str, *, version: str, database: str, user: str) -> dict[str, Any]:
    """Return the PostgreSQL service; its password is in its env_file."""
    return {
        "image": f"postgres:{version.split('.', maxsplit=1)[0]}",
        "environment": {
            "POSTGRES_DB": escaped(database),
            "POSTGRES_USER": escaped(user),
            "PGDATA": "/data/pgdata",
        },
        "env_file": [f"secrets/{name}.env"],
        "volumes": [f"{name}:/data"],
        "healthcheck": {
            "test": ["CMD", "pg_isready", "--quiet", "--host=127.0.0.1", f"--username={escaped(user)}"],
            "interval": "5s",
            "retries": 20,
        },
        "restart": "unless-stopped",
    }


def cache(name: str, *, engine: str, version: str, port: int, has_token: bool) -> dict[str, Any]:
    """Return the Valkey or Redis service; *has_token* adds a password."""
    # Pass the password on standard input, because all users can read a process's arguments.
    script = (
        f"exec {engine}-server - <<END\n{'requirepass $$REDISCLI_AUTH' if has_token else ''}\n"
        f'port {port}\nprotected-mode no\nsave ""\nmaxmemory-policy noeviction\nEND\n'
    )
    return {
        "image": f"valkey/valkey:{version}" if engine == "valkey" else "redis:7",
        "entrypoint": ["sh", "-c"],
        "command": [script],
        "env_file": [f"secrets/{name}.env"],
        "healthcheck": {
            "test": ["CMD-SHELL", f'test "$$({engine}-cli ping)" = PONG'],
            "interval": "5s",
            "retries": 20,
        },
        "restart": "unless-stopped",
    }


def queues() -> dict[str, Any]:
    """Return the ElasticMQ service, which replaces SQS."""
    return {
        "image": "softwaremill/elasticmq-native:1.7.1",
        "volumes": ["./elasticmq.conf:/opt/elasticmq.conf:ro"],
        "restart": "unless-stopped",
    }


def results() -> dict[str, Any]:
    """Return the DynamoDB local service."""
    return {
        "image": "amazon/dynamodb-local:3.3.0",
        "command": ["-jar", "DynamoDBLocal.jar", "-sharedDb", "-inMemory"],
        "restart": "unless-stopped",
    }


def elasticmq(queues: Mapping[str, int]) -> str:
    """Return ElasticMQ's configuration; *queues* maps queue names to visibility timeouts in seconds."""
    entries = "".join(
        f'  "{name}" {{ defaultVisibilityTimeout = {seconds} seconds }}\n' for name, seconds in queues.items()
    )
    address = f'node-address {{ protocol = http, host = "{QUEUES}", port = 9324, context-path = "" }}'
    return f'include classpath("application.conf")\n{address}\nqueues {{\n{entries}}}\n'


def escaped(text: str) -> str:
    """Escape dollar signs, which Compose would interpolate."""
    return text.replace("$", "$$")
