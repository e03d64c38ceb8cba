"""What the user should know, and may acknowledge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Annotations

if TYPE_CHECKING:
    from constructs import IConstruct


@dataclass(frozen=True, slots=True)
class Advice:
    """A warning with a stable id, shown by ``cdk synth`` until it is acted on or acknowledged."""

    id: str
    text: str


def warn(construct: IConstruct, advice: Iterable[Advice], given: set[str]) -> None:
    """Add to *construct* a warning for each of *advice* whose id is not among those *given* before."""
    for each in advice:
        if each.id not in given:
            Annotations.of(construct).add_warning_v2(each.id, each.text)
            given.add(each.id)
