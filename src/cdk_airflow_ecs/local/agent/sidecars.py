"""The containers of a task that can run here; the others are skipped by name, or refused if the task needs them."""

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
    """Return the container definitions that can run here, each with the environment of its image.

    Args:
        specs: the container definitions of a task.
        image: gives the environment of an image.
        say: is told which container is skipped: its name, the reason.

    Raises:
        Refusal: naming an essential container that cannot run here, and what to do.
    """
    found = []
    for spec in specs:
        name = spec["name"]
        if spec.get("firelensConfiguration"):
            say(name, "the log router is not run here: what containers print is in `airflow-ecs local logs`")
            continue
        try:
            refuse_unknown(spec)
            found.append((spec, image(spec["image"]).result()))
        except Refusal as refusal:
            if spec.get("essential", True):
                raise Refusal(
                    f"the container {name} is essential, and cannot run here: {refusal}. Without it the task would end;"
                    " for a task that may run without it, say `essential=False` in its definition"
                ) from refusal
            say(name, f"the container is not essential and is not run here: {refusal}")
    return found
