"""The command `airflow-ecs`. Requires the extra `[cli]`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command, or exit with the name of a missing package."""
    try:
        from cdk_airflow_ecs.cli.app import app  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cdk_airflow_ecs"):
            raise
        sys.exit(f"airflow-ecs needs {error.name}: pip install 'cdk-airflow-ecs[local]'")
    app()
