"""Selects the containers of a task that can run locally."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from cdk_airflow_ecs.local.agent.container import refuse_unknown
from cdk_airflow_ecs.local.refusal import Refusal

if TYPE_CHECKING:
    from cdk_airflow_ecs.local.images.environments import Environment


def runnable_containers(
    specs: Iterable[Mapping[str, Any]],
    image: Callable[[str], Future[Environment]],
    say: Callable[[str, str], None],
) -> list[tuple[Mapping[str, Any], Environment]]:
    """Return the container definitions that can run locally, with their environments.

    *say* receives name and reason of each skipped container. Raises a Refusal if an essential container cannot run.
    """
    found = []
    for spec in specs:
        name = spec["name"]
        if spec.get("firelensConfiguration"):
            say(name, "the log router does not run locally; read container output with `airflow-ecs local logs`")
            continue
        try:
            refuse_unknown(spec)
            found.append((spec, image(spec["image"]).result()))
        except Refusal as refusal:
            if spec.get("essential", True):
                raise Refusal(
                    f"essential container {name} cannot run locally: {refusal}. If the task can run without it, set"
                    " `essential=False` in its definition"
                ) from refusal
            say(name, f"the container is not essential and is skipped: {refusal}")
    return found
