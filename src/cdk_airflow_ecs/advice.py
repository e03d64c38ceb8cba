"""Warnings about a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Annotations

if TYPE_CHECKING:
    from constructs import IConstruct


@dataclass(frozen=True, slots=True)
class Advice:
    """A warning that ``cdk synth`` shows until its cause is fixed or its id acknowledged."""

    id: str
    text: str


def warn(construct: IConstruct, advice: Iterable[Advice], given: set[str]) -> None:
    """Add *advice* to *construct* as warnings. Skip ids in *given*, the ids already added; add new ids to it."""
    for each in advice:
        if each.id not in given:
            Annotations.of(construct).add_warning_v2(each.id, each.text)
            given.add(each.id)
