"""Delete old rows of the metadata database: ``KEEP_DAYS [TABLE,TABLE...]``.

``python -c TEXT`` runs it. It supports Airflow 2.8 to 3.3, whose ``airflow db clean`` ends with exit code 0 even if it
could not clean a table, unless it has an option that exists only since 3.2.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

# The text that all supported releases log for a table that they could not clean (airflow/utils/db_cleanup.py).
FAILED = "Encountered error when attempting to clean table"


def command(keep_days: int, tables: str, now: datetime) -> list[str]:
    """Return the Airflow command that deletes rows older than *keep_days*."""
    before = (now - timedelta(days=keep_days)).isoformat(timespec="seconds")
    chosen = ["--tables", tables] if tables else []
    return ["airflow", "db", "clean", "--clean-before-timestamp", before, "--yes", "--skip-archive", *chosen]


def main(keep_days: str, tables: str = "") -> int:
    """Run the command, and return its exit code, or 1 if it did not clean a table."""
    words = command(int(keep_days), tables, datetime.now(timezone.utc))
    print("clean:", " ".join(words), flush=True)
    failed = False
    pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    with subprocess.Popen(words, **pipe) as run:  # noqa: S603 (the words are constants and table names)
        for line in run.stdout or ():
            print(line, end="", flush=True)
            failed = failed or FAILED in line
    if run.returncode == 0 and failed:
        print("clean: some tables were not cleaned", flush=True)
    return run.returncode or int(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
