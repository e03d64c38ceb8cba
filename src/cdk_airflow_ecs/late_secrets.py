"""Detection of secrets in plain texts that only CDK can resolve, so that planning cannot detect them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Final

from aws_cdk import CfnParameter, Stack

from cdk_airflow_ecs.logs.firelens import FireLens
from cdk_airflow_ecs.planning import plan_cluster
from cdk_airflow_ecs.secret_detection import refusal
from cdk_airflow_ecs.tokens import is_list_token, is_token

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.plan import ClusterPlan
    from cdk_airflow_ecs.settings import Settings

_DYNAMIC_REFERENCE: Final = "a dynamic reference, which CloudFormation replaces by the secret"

# Classes whose public name is another one.
_PUBLIC_NAMES: Final = {
    "BuiltImage": "AirflowImage.build",
    "EcrImage": "AirflowImage.ecr",
    "EcsTask": "add_ecs_task",
    "ExistingRedisBroker": "RedisBroker.existing",
    "RegistryImage": "AirflowImage.registry",
}


def plan_without_late_secrets(scope: Construct, settings: Settings) -> ClusterPlan:
    """Plan the cluster, and check its plain texts.

    Raises:
        ValueError: if a plain text becomes a secret at deploy time, such as ``SecretValue.unsafe_unwrap()`` or a
            parameter with NoEcho.
    """
    plan = plan_cluster(settings)
    checked: set[str] = set()
    # A text of the plan has a precise place and a remedy, so the plan is read before the arguments.
    for message, texts in ((refusal, _texts(settings, plan)), (_refusal, _arguments("", settings))):
        for where, text in texts:
            if text in checked or not (is_token(text) or is_list_token(text)):
                continue
            checked.add(text)
            if why := _late_secret(Stack.of(scope), text):
                raise ValueError(message(where, why))
    return plan


def _refusal(where: str, why: str) -> str:
    return (
        f"{where} contains a secret (by {why}) and would be in plain text in the template. Pass the value itself, or"
        " ssm.StringParameter.value_for_string_parameter(…) with a plain parameter"
    )


def _texts(settings: Settings, plan: ClusterPlan) -> Iterator[tuple[str, str]]:
    for component in plan.components:
        for container in component.containers:
            named = {f"the variable {name}": value for name, value in container.environment.items()}
            check = container.health_check.command if container.health_check else ()
            words = {
                "the command": container.command,
                "the entry point": container.entrypoint,
                "the health check": check,
            }
            listed = [(what, word) for what, each in words.items() for word in each]
            for what, value in (*named.items(), *listed):
                if isinstance(value, str):
                    yield f"{what} of {component.name}", value
    if isinstance(settings.log_router, FireLens):
        options = settings.log_router.options.items()
        yield from ((f"FireLens options: {name}", value) for name, value in options if isinstance(value, str))


def _arguments(name: str, node: object) -> Iterator[tuple[str, str]]:
    """Yield the texts in dataclasses, lists and mappings, with the innermost class and its argument as name."""
    if isinstance(node, str):
        yield name, node
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from _arguments(name, value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _arguments(name, value)
    elif is_dataclass(node) and not isinstance(node, type):
        owner = type(node).__name__
        for field in fields(node):
            yield from _arguments(f"{_PUBLIC_NAMES.get(owner, owner)} {field.name}", getattr(node, field.name))


def _late_secret(stack: Stack, text: str) -> str | None:
    try:
        resolved = json.dumps(stack.resolve(text))
    except RuntimeError:
        return None  # a Lazy whose value is not available yet
    for name in re.findall(r'\{"Ref": "(\w+)"\}', resolved):
        parameter = stack.node.try_find_child(name)
        if isinstance(parameter, CfnParameter) and parameter.no_echo:
            return f"the parameter {name}, which has NoEcho"
    return _DYNAMIC_REFERENCE if re.search(r"\{\{resolve:(secretsmanager|ssm-secure):", resolved) else None
