"""Checks of AWS limits, before any construct is created. Pure.

Values known only at deploy time are treated as empty, so that valid clusters are never rejected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import Component, Container, Json, Ref, SecretRef, Value
from cdk_airflow_ecs.tokens import is_token

# The limit of ECS (service quotas, "Task definition size limit"), which counts the bytes of the stored JSON
# (awsdocs/amazon-ecs-developer-guide#149).
TASK_DEFINITION_BYTES: Final = 65_536
# The default quota, for IPv4 and IPv6 each (Amazon VPC quotas, "Inbound or outbound rules per security group").
SECURITY_GROUP_RULES: Final = 60
# Half of the longest S3 key (Amazon S3 user guide, "Naming Amazon S3 objects"). Airflow appends ids of DAG, run and
# task.
S3_PREFIX_BYTES: Final = 512
# Amazon ECS API Reference, RunTask, "overrides".
OVERRIDES_CHARACTERS: Final = 8_192

_TOKEN: Final = re.compile(r"\$\{Token\[[^\]]*\]\}")
_SHOWN: Final = 5


def check_task_definitions(components: Iterable[Component], log_options: Mapping[str, str]) -> None:
    """Raise an error if a task definition is too large.

    *log_options* are the log driver options of the containers of services.
    """
    for component in components:
        options = log_options if component.kind == "service" else {}
        size = definition_bytes(component, options)
        if size > TASK_DEFINITION_BYTES:
            values = [item for container in component.containers for item in container.environment.items()]
            sizes = {name: len(_known(value).encode()) for name, value in (*values, *options.items())}
            largest = sorted(sizes.items(), key=lambda item: -item[1])[:_SHOWN]
            named = ", ".join(f"{name} ({number:,} bytes)" for name, number in largest if number * 50 > size)
            raise IncompatibleArgumentsError(
                f"The task definition of {component.name} must have at most {TASK_DEFINITION_BYTES:,} bytes (64 KiB),"
                f" got at least {size:,}. It has {len(sizes)} variables and options"
                f"{f'; the largest are {named}' if named else ''}. Pass fewer or shorter ones, and store long text in"
                " the image, S3 or Secrets Manager"
            )


def definition_bytes(component: Component, log_options: Mapping[str, str] | None = None) -> int:
    """Return the minimum size of the component's task definition, in bytes of JSON."""
    return sum(len(_json(_container(container, log_options or {}))) for container in component.containers)


def _container(container: Container, log_options: Mapping[str, str]) -> dict[str, object]:
    plain = {name: value for name, value in container.environment.items() if not isinstance(value, SecretRef)}
    check = container.health_check
    return {
        "name": container.name,
        "entryPoint": [*container.entrypoint, *map(_known, container.prefix)],
        "command": [*map(_known, container.command)],
        "environment": [{"name": name, "value": _known(value)} for name, value in plain.items()],
        "secrets": [{"name": name, "valueFrom": ""} for name in container.environment if name not in plain],
        "healthCheck": {} if check is None else {"command": list(check.command)},
        "logConfiguration": {"options": {name: _known(value) for name, value in log_options.items()}},
    }


def _known(value: Value) -> str:
    if isinstance(value, Json):
        return json.dumps(value.tree, default=lambda _: "", separators=(", ", ": "))
    return "" if isinstance(value, Ref | SecretRef) else _TOKEN.sub("", value)


def _json(node: object) -> bytes:
    return json.dumps(node, ensure_ascii=False, separators=(",", ":")).encode()


def check_overrides(argument: str, overrides: Mapping[str, object]) -> None:
    """Raise ``ValueError`` if overrides of RunTask are too long, even without the command that Airflow adds."""
    size = len(_TOKEN.sub("", _json(overrides).decode()))
    if size > OVERRIDES_CHARACTERS:
        raise ValueError(
            f"{argument} must have at most {OVERRIDES_CHARACTERS:,} characters together with the task's command, got"
            f" {size:,}. Pass variables with EcsExecutor(environment=…), and store long text in the image, S3 or"
            " Secrets Manager"
        )


def check_clients(argument: str, clients: Sequence[object], *, ports: int) -> None:
    """Raise an error if a security group cannot hold *ports* rules for each of *clients*, CIDR blocks or CDK peers."""
    most = SECURITY_GROUP_RULES // ports
    if len(clients) <= most:
        return
    # Only long lists reach this line, because reading a peer's id is a slow call to CDK.
    names = [str(getattr(client, "unique_id", client)) for client in clients]
    four = sum(not _is_cidr(name) or ":" not in name for name in names)
    six = sum(not _is_cidr(name) or ":" in name for name in names)
    if max(four, six) > most:
        raise IncompatibleArgumentsError(
            f"{argument} has {max(four, six)} clients{', which need two rules each' if ports == 2 else ''}, and AWS's"
            f" default is {SECURITY_GROUP_RULES} rules in a security group. Merge them into wider CIDR blocks, or raise"
            ' the quota and pass a prefix list: ec2.Peer.prefix_list("pl-…")'
        )


def _is_cidr(name: str) -> bool:
    return "/" in name and not is_token(name)


def check_prefix(argument: str, prefix: str) -> None:
    """Raise ``ValueError`` if *prefix* leaves no room for object names in an S3 key."""
    size = len(prefix.encode())
    if size > S3_PREFIX_BYTES and not is_token(prefix):
        raise ValueError(
            f"{argument} must have at most {S3_PREFIX_BYTES} bytes, because an S3 key has 1,024; got {size:,} bytes"
        )
