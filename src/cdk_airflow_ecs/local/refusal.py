"""The error type for users."""

from __future__ import annotations


class Refusal(Exception):
    """An error that the user can fix; shown without traceback. The message states problem and remedy."""
