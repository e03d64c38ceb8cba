"""The command groups."""

from __future__ import annotations

import typer

from cdk_airflow_ecs.cli import compose, local

app = typer.Typer(
    name="airflow-ecs",
    help="Airflow on Amazon ECS, as created by cdk-airflow-ecs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
local.app.command()(compose.compose)
app.add_typer(local.app, name="local", help="Run a synthesized template on this machine, with real Airflow.")


@app.callback()
def _group() -> None:
    """Airflow on Amazon ECS, as created by cdk-airflow-ecs."""
