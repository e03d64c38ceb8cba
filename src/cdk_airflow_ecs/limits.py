"""AWS's limits that arguments can reach: refused in the user's words, before anything is made. Pure.

Each check counts what is known now. A value that the deploy fills in counts as nothing, so that no refusal is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import Component, Container, Json, Ref, SecretRef, Value
from cdk_airflow_ecs.tokens import is_token

# Amazon ECS service quotas, "Task definition size limit": 64 KiB. ECS counts the bytes of the JSON that it stores
# (awsdocs/amazon-ecs-developer-guide#149: "Actual length: '66420'. Max allowed length is '65536' bytes.").
TASK_DEFINITION_BYTES: Final = 65_536
# Amazon VPC quotas, "Inbound or outbound rules per security group", counted apart for IPv4 and IPv6.
SECURITY_GROUP_RULES: Final = 60
# An S3 key has 1,024 bytes (Amazon S3 user guide, "Naming Amazon S3 objects"). The other half is for what stands in the
# folder: Airflow's ids of DAG, run and task have 250 characters each.
S3_PREFIX_BYTES: Final = 512

_TOKEN: Final = re.compile(r"\$\{Token\[[^\]]*\]\}")
_SHOWN: Final = 5


def check_task_definitions(components: Iterable[Component], log_options: Mapping[str, str]) -> None:
    """Refuse components whose task definition ECS would not accept.

    Args:
        components: all of them.
        log_options: what each container of a service tells its log driver.

    Raises:
        ValueError: naming the component, its size and its largest values, but not the values.
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
                f"The task definition of {component.name} has at least {size:,} bytes, and ECS accepts"
                f" {TASK_DEFINITION_BYTES:,} (64 KiB). It has {len(sizes)} variables and options"
                f"{f', the largest are {named}' if named else ''}. Pass fewer or shorter ones; long text belongs into"
                " the image, S3 or Secrets Manager"
            )


def definition_bytes(component: Component, log_options: Mapping[str, str] | None = None) -> int:
    """Return the smallest size that the task definition of *component* can have, in bytes of JSON."""
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
    """The part of a value that is known before the deploy."""
    if isinstance(value, Json):
        return json.dumps(value.tree, default=lambda _: "", separators=(", ", ": "))
    return "" if isinstance(value, Ref | SecretRef) else _TOKEN.sub("", value)


def _json(node: object) -> bytes:
    return json.dumps(node, ensure_ascii=False, separators=(",", ":")).encode()


def check_clients(argument: str, clients: Sequence[object], *, ports: int) -> None:
    """Refuse more clients than the rules of one security group.

    Args:
        argument: what names them.
        clients: CIDR blocks, or CDK peers.
        ports: how many rules each of them needs.

    Raises:
        ValueError: with their number and what to do.
    """
    most = SECURITY_GROUP_RULES // ports
    if len(clients) <= most:
        return
    # Peers are asked what they are here only: that is a question to CDK for each.
    names = [str(getattr(client, "unique_id", client)) for client in clients]
    four = sum(not _is_cidr(name) or ":" not in name for name in names)
    six = sum(not _is_cidr(name) or ":" in name for name in names)
    if max(four, six) > most:
        raise IncompatibleArgumentsError(
            f"{argument} names {max(four, six)} clients{', which take two rules each' if ports == 2 else ''}, and AWS's"
            f" default is {SECURITY_GROUP_RULES} rules in a security group. Merge them into wider CIDR blocks; with a"
            ' raised quota, pass a prefix list: ec2.Peer.prefix_list("pl-…")'
        )


def _is_cidr(name: str) -> bool:
    return "/" in name and not is_token(name)


def check_prefix(argument: str, prefix: str) -> None:
    """Refuse a folder in a bucket that leaves no room for the names of the objects in it.

    Raises:
        ValueError: with its length and the limit.
    """
    size = len(prefix.encode())
    if size > S3_PREFIX_BYTES and not is_token(prefix):
        raise ValueError(
            f"{argument} has {S3_PREFIX_BYTES} bytes at most, since a key of S3 has 1,024; got {size:,} bytes"
        )
