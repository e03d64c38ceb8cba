"""IAM statements for customer keys, shared by roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms


class KeyStatements:
    """A cache of IAM statements. Callers must not modify them."""

    def __init__(self) -> None:
        self._arns: dict[kms.IKey, str] = {}
        self._made: dict[tuple[kms.IKey, tuple[str, ...], str], iam.PolicyStatement] = {}

    def find(self, key: kms.IKey, actions: tuple[str, ...], *, via_service: str = "") -> iam.PolicyStatement:
        """Return the statement that allows *actions* with *key*.

        *via_service* is a pattern for ``kms:ViaService``; "" adds no condition.
        """
        place = key, actions, via_service
        if place not in self._made:
            if key not in self._arns:
                self._arns[key] = key.key_arn
            self._made[place] = iam.PolicyStatement(
                actions=list(actions),
                resources=[self._arns[key]],
                conditions={"StringLike": {"kms:ViaService": via_service}} if via_service else {},
            )
        return self._made[place]
