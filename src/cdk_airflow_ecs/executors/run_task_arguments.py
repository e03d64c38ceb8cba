"""Checks of the RunTask arguments that users pass to the ECS executor. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from cdk_airflow_ecs.limits import check_overrides

# Arguments of RunTask (Amazon ECS API Reference), except those that the executor sets, and except clientToken: with a
# fixed one, ECS would start one task and return it for every later call.
_ACCEPTED: Final = (
    *("enableECSManagedTags", "enableExecuteCommand", "group", "overrides", "placementConstraints"),
    *("placementStrategy", "propagateTags", "referenceId", "startedBy", "tags", "volumeConfigurations"),
)


def camel(name: str) -> str:
    """Return a RunTask argument in the spelling of the API, as the amazon provider does."""
    return re.sub("_(.)", lambda match: match[1].upper(), name[:1].lower() + name[1:])


def check_run_task_arguments(argument: str, given: Mapping[str, object]) -> None:
    """Raise ``ValueError`` for unknown names and for values that RunTask rejects, with the accepted ones."""
    if unknown := sorted(name for name in given if camel(name) not in _ACCEPTED):
        raise ValueError(
            f"{argument} has {', '.join(unknown)}, which RunTask does not accept from it. Use {', '.join(_ACCEPTED)}"
        )
    values = {camel(name): value for name, value in given.items()}
    if "tags" in values and not _are_tags(values["tags"]):
        raise ValueError(f'{argument}: tags must be a list such as [{{"key": "team", "value": "data"}}]')
    overrides = values.get("overrides", {})
    if not isinstance(overrides, dict):
        raise ValueError(f'{argument}: overrides must be a JSON object such as {{"cpu": "1024"}}')
    check_overrides(f"{argument}: overrides", overrides)


def _are_tags(given: object) -> bool:
    return isinstance(given, list) and all(
        isinstance(tag, dict)
        and {"key"} <= set(tag) <= {"key", "value"}
        and all(isinstance(v, str) for v in tag.values())
        for tag in given
    )
