"""A Compose project and its differences from the template."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cdk_airflow_ecs.local.substitutions import Substitution

SUBSTITUTIONS: Final = (
    Substitution(
        name="tls",
        says="TLS to database and broker",
        here="plain text inside the network of the compose project",
        why="the images of PostgreSQL and Valkey have no certificates",
    ),
    Substitution(
        name="dags",
        says="DAGs from a bucket",
        here="a local folder, mounted read-only",
        why="there is no bucket, and edits are visible at once",
    ),
    Substitution(
        name="task logs",
        says="a bucket or log group for task logs",
        here="a volume that all components share",
        why="there is no bucket",
    ),
    Substitution(
        name="stores",
        says="RDS or Aurora; ElastiCache; SQS and DynamoDB",
        here="postgres; valkey; ElasticMQ and DynamoDB local, each in one container",
        why="there is no AWS account",
    ),
    Substitution(
        name="cpu",
        says="CPU of a task",
        here="no CPU limit; memory is limited",
        why="Docker rejects a limit above the machine's number of processors",
    ),
    Substitution(
        name="load balancer",
        says="AWS::ElasticLoadBalancingV2::LoadBalancer",
        here="the port of the UI on 127.0.0.1",
        why="there is one API server",
    ),
)
"""Differences between the template and the Compose project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A Compose project.

    Args:
        environments: secret variables of each service, for its env_file.
        files: contents of further files, by file name.
        missing: variables whose secrets are not in the template.
        notes: messages for the user about omitted settings.
    """

    document: dict[str, Any]
    environments: dict[str, dict[str, str]]
    files: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def write(project: Project, folder: Path) -> list[Path]:
    """Write the project, with secret files readable only by the owner; return the written files."""
    from ruamel.yaml import YAML  # noqa: PLC0415  # needs the extra [local]

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dags").mkdir(exist_ok=True)
    hidden = folder / "secrets"
    hidden.mkdir(mode=0o700, exist_ok=True)
    (hidden / ".gitignore").write_text("*\n")
    written = [folder / "compose.yaml"]
    yaml = YAML()
    yaml.width = 1000
    yaml.version = (1, 1)  # quotes `no`, which YAML 1.1 parsers read as false
    with written[0].open("w") as stream:
        yaml.dump(project.document, stream)
    for name, text in project.files.items():
        written.append(folder / name)
        written[-1].write_text(text)
    for service, variables in project.environments.items():
        file = hidden / f"{service}.env"
        file.touch(mode=0o600)
        file.chmod(0o600)
        file.write_text("".join(f"{name}={single_quoted(value)}\n" for name, value in variables.items()))
        written.append(file)
    return written


def single_quoted(text: str) -> str:
    """Quote a value so that Compose does not interpolate variables."""
    escaped = text.replace("'", "\\'")
    return f"'{escaped}'"
