"""Cached attributes of a stack, because CDK reads each of them with a slow call to another process."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from aws_cdk import Stack

if TYPE_CHECKING:
    from constructs import IConstruct


class StackFacts:
    """The stack of a construct, and its region, account and partition."""

    def __init__(self, construct: IConstruct) -> None:
        self.stack = Stack.of(construct)

    @cached_property
    def region(self) -> str:
        """The region, or a token."""
        return self.stack.region

    @cached_property
    def account(self) -> str:
        """The account, or a token."""
        return self.stack.account

    @cached_property
    def partition(self) -> str:
        """The partition, such as "aws" or "aws-cn", or a token."""
        return self.stack.partition
