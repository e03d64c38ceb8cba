"""What the stack of a cluster says of itself, asked once: each question to CDK is one to another process."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from aws_cdk import Stack

if TYPE_CHECKING:
    from constructs import IConstruct


class StackFacts:
    """The stack that a construct is in, and its region, account and partition."""

    def __init__(self, construct: IConstruct) -> None:
        """Find the stack of *construct*."""
        self.stack = Stack.of(construct)

    @cached_property
    def region(self) -> str:
        """The region; a token if only the deploy knows it."""
        return self.stack.region

    @cached_property
    def account(self) -> str:
        """The account; a token if only the deploy knows it."""
        return self.stack.account

    @cached_property
    def partition(self) -> str:
        """The partition, such as "aws" or "aws-cn"; a token if only the deploy knows it."""
        return self.stack.partition
