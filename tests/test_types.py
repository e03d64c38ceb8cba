"""Type checkers judge the package and code that uses it as a user's would."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.xdist_group("types")
def test_mypy():
    """Mypy, strict, finds nothing in the package, nor in code that gives every public argument its type."""
    run = subprocess.run([REPOSITORY / ".venv/bin/mypy"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
