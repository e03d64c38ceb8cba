"""mypy checks the package and code that uses it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.xdist_group("types")
def test_strict_mypy_finds_no_error():
    """Strict mypy finds no error in the package, nor in code that passes each public argument."""
    run = subprocess.run([REPOSITORY / ".venv/bin/mypy"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
