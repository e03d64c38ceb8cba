"""The error that says that two arguments contradict each other."""

from __future__ import annotations


class IncompatibleArgumentsError(ValueError):
    """Each argument is accepted by itself, but not together with another one.

    ``docs/reference/incompatible-arguments.md`` has a row for each place that raises it; a test compares the two.
    """


__all__ = ["IncompatibleArgumentsError"]
