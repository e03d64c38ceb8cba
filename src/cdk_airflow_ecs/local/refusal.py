"""The error type for users."""

from __future__ import annotations


class Refusal(Exception):
    """An error that the user can fix: shown without traceback; states the problem, accepted values and remedy."""
