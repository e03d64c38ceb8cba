"""The base class of executors and cluster resources for checks of the user's options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.plan import Option, Value

# The user's options for one process, by argument.
UserOptions: TypeAlias = "Sequence[tuple[str, Mapping[Option, Value]]]"


class OptionOwner:
    """A part of the cluster that relies on options which it does not set."""

    def relied_upon(self, version: AirflowVersion) -> Mapping[str, Mapping[Option, Value]]:
        """Return options that a user may repeat but not change: Airflow's defaults, or values of other arguments. Pure.

        Args:
            version: the Airflow release. The caller drops options that it does not have.

        Returns:
            Options by reason. The reason continues "this cluster, ": ``{"whose load balancer ends TLS": {…}}``.
        """
        del version
        return {}

    def check_options(self, version: AirflowVersion, given: UserOptions) -> None:
        """Check the user's options for one process against those of this part. Pure.

        Raises:
            ValueError: with the option and the argument that sets it, if both cannot take effect.
        """


def json_object(value: object) -> dict[str, object] | None:
    """Return the JSON object whose text is *value*, or None if it is anything else."""
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
