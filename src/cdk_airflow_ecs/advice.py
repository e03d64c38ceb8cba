"""What the user should know, and may acknowledge."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """A warning with a stable id, shown by ``cdk synth`` until it is acted on or acknowledged."""

    id: str
    text: str
