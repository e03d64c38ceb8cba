"""What the tests that run an Airflow share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import Databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """PostgreSQL with TLS and passwords."""
    with Databases() as running:
        yield running
