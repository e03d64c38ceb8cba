"""The error for incompatible arguments."""

from __future__ import annotations


class IncompatibleArgumentsError(ValueError):
    """An error about arguments that are valid individually but incompatible.

    ``docs/reference/incompatible-arguments.md`` has a row for each place that raises it.
    """


__all__ = ["IncompatibleArgumentsError"]
