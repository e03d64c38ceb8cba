"""The contract of what has a say in options beyond those that it sets: executors and cluster resources."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.plan import Option, Value

# What the user says of the options of one process, by the argument that says it.
UserOptions: TypeAlias = "Sequence[tuple[str, Mapping[Option, Value]]]"


class OptionOwner:
    """A part of the cluster that relies on options which it does not set. Each declares its own."""

    def relied_upon(self, version: AirflowVersion) -> Mapping[str, Mapping[Option, Value]]:
        """Return options that nobody sets and that must have these values all the same. Pure.

        They are Airflow's own defaults, or what an argument says already. A user may repeat a value and not change it.

        Args:
            version: the Airflow release. Options that it does not have are left out by the caller.

        Returns:
            Options by the reason, which goes on after "this cluster, ": ``{"whose load balancer ends TLS": {…}}``.
        """
        del version
        return {}

    def check_options(self, version: AirflowVersion, given: UserOptions) -> None:
        """Refuse a user's options that would replace the part's own, or be lost behind them. Pure.

        Args:
            version: the Airflow release.
            given: the user's options for one process.

        Raises:
            ValueError: naming the option, and the argument that sets it.
        """


def names_in(value: object) -> set[str]:
    """Return the names in text that is a JSON object, if it is one."""
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return set()
    return set(found) if isinstance(found, dict) else set()
