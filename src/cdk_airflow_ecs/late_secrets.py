"""Detection of secrets in plain texts that only CDK can resolve, so that planning cannot detect them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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


def plan_without_late_secrets(scope: Construct, settings: Settings) -> ClusterPlan:
    """Plan the cluster, and check its plain texts.

    Raises:
        ValueError: if a plain text becomes a secret at deploy time, such as ``SecretValue.unsafe_unwrap()`` or a
            parameter with NoEcho.
    """
    plan = plan_cluster(settings)
    checked: set[str] = set()
    for where, text in _texts(settings, plan):
        if text in checked or not (is_token(text) or is_list_token(text)):
            continue
        checked.add(text)
        if why := _late_secret(Stack.of(scope), text):
            raise ValueError(refusal(where, why))
    return plan


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
