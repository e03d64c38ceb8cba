"""The base class of executors and cluster resources for checks of the user's options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.plan import Option, Value

# The options that the user sets for one process: (argument, options) for each argument.
UserOptions: TypeAlias = "Sequence[tuple[str, Mapping[Option, Value]]]"


class OptionOwner:
    """A part of the cluster that checks the user's options, some of which it relies on without setting them."""

    def relied_upon(self, version: AirflowVersion) -> Mapping[str, Mapping[Option, Value]]:
        """Return options that a user may repeat but not change: Airflow's defaults, or values of other arguments. Pure.

        Args:
            version: the Airflow release. The caller drops options that this release does not have.

        Returns:
            Options by reason. In messages, "this cluster, " precedes the reason: ``{"whose load balancer ends TLS":
            {…}}``.
        """
        del version
        return {}

    def check_options(self, version: AirflowVersion, given: UserOptions) -> None:
        """Check the user's options for one process against the options that this part sets. Pure.

        Raises:
            ValueError: with the user's option and its argument, if it cannot take effect together with those of this
                part.
        """


def json_object(value: object) -> dict[str, object] | None:
    """Return the JSON object whose text is *value*, or None if it is anything else."""
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
