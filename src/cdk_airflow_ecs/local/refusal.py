"""What ends a run with a message for people and no traceback."""

from __future__ import annotations


class Refusal(Exception):
    """Something that the user has to change: says what was found, what is accepted and what to do."""
