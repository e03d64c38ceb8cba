"""Fixtures for tests that run Airflow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import Databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """Start PostgreSQL with TLS and passwords."""
    with Databases() as running:
        yield running
