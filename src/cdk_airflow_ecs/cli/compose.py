"""`airflow-ecs local compose`: convert a template for Docker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cdk_airflow_ecs.cli import synthesis
from cdk_airflow_ecs.local import assembly
from cdk_airflow_ecs.local.refusal import Refusal

_out = Console(highlight=False, soft_wrap=True, markup=False)


def compose(  # noqa: PLR0917  # typer passes them by name
    path: Annotated[Path, typer.Argument(help="Output folder of `cdk synth`, or a template in it.")] = Path("cdk.out"),
    app_command: Annotated[
        str | None, typer.Option("--app", help='Synthesize first, with the command of the CDK app: "python app.py".')
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for compose.yaml.")] = Path("compose"),
    stack: Annotated[str | None, typer.Option(help="Name of the stack. Default: the one that has services.")] = None,
    port: Annotated[int, typer.Option(help="Port of the UI on 127.0.0.1.")] = 8080,
    explain: Annotated[bool, typer.Option(help="Print the differences from AWS, and exit.")] = False,
) -> None:
    """Write the same cluster as a compose.yaml, for Docker."""
    from cdk_airflow_ecs.local.compose import render as translation  # noqa: PLC0415
    from cdk_airflow_ecs.local.compose.project import SUBSTITUTIONS, write  # noqa: PLC0415
    from cdk_airflow_ecs.local.state import State  # noqa: PLC0415

    if explain:
        for each in SUBSTITUTIONS:
            _out.print(f"{each.name}\n  in the template    {each.says}\n  in Docker Compose  {each.here}")
            _out.print(f"  because            {each.why}\n")
        return
    try:
        found = _choose(assembly.read(synthesis.assembly(path, app_command)), stack)
        out.mkdir(parents=True, exist_ok=True)
        kept = State.open(out / "secrets")
        project = translation.compose(found, port=port, remember=kept.remember)
        written = write(project, out)
    except Refusal as refusal:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"airflow-ecs: {refusal}")
        raise typer.Exit(1) from refusal
    for note in project.notes:
        _out.print(note)
    for name in sorted(set(project.missing)):
        _out.print(f"{name} is a secret that the template does not create: set it in {out / '.env'} or your shell")
    _out.print(f"{written[0]}: {len(project.document['services'])} services, DAGs from {out / 'dags'}.")
    _out.print(f"docker compose --file {written[0]} up --build --detach   →   http://127.0.0.1:{port}")
    if password := _password_file(project.environments, out):
        _out.print(f"User admin; the password is AIRFLOW_ECS_ADMIN_PASSWORD in {password}")


def _choose(stacks: Sequence[assembly.StackFile], name: str | None) -> assembly.StackFile:
    having = [
        each
        for each in stacks
        if each.name == name
        or (name is None and any(r["Type"] == "AWS::ECS::Service" for r in each.template["Resources"].values()))
    ]
    if len(having) != 1:
        known = ", ".join(each.name for each in stacks)
        raise Refusal(f"--stack must be the name of one stack that has services, of: {known}")
    return having[0]


def _password_file(environments: dict[str, dict[str, str]], out: Path) -> Path | None:
    having = (name for name, variables in environments.items() if "AIRFLOW_ECS_ADMIN_PASSWORD" in variables)
    name = next(having, None)
    return out / "secrets" / f"{name}.env" if name else None
