"""Physical names, which are unique for each cluster of each deployed stack.

AWS shares a private DNS zone in a VPC, and the revisions of a task-definition family in an account and region. One app
under two stack names, and two clusters in one stack, get different names; the same cluster always gets the same.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from aws_cdk import NestedStack, Stack
from constructs import Construct

# RegisterTaskDefinition takes 255 letters; a component's path has at most 64 of them.
_PREFIX_LETTERS: Final = 160


def namespace_name(scope: Construct) -> str:
    """Return the name of the private DNS zone of the cluster *scope*: its id and a digest of where it is deployed."""
    _, digest = _deployed(scope)
    slug = re.sub(r"[^a-z0-9]+", "-", scope.node.id.lower()).strip("-")[:24] or "airflow"
    return f"{slug}-{digest}.airflow.internal"


def family_prefix(scope: Construct) -> str:
    """Return the beginning of the names of the task-definition families of the cluster *scope*.

    RunTask takes the latest revision of a family, so a family of two stacks would start one stack's task in the other.
    """
    stack_name, digest = _deployed(scope)
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{stack_name}-{scope.node.id}")
    return f"{slug[: _PREFIX_LETTERS - len(digest) - 1]}-{digest}"


def _deployed(scope: Construct) -> tuple[str, str]:
    """Return the name of the stack that a deploy of *scope* names, and a digest of that and the path below it."""
    stack = Stack.of(scope)
    path = scope.node.path
    # The name of a nested stack is AWS's and known after its deploy.
    while isinstance(parent := stack.nested_stack_parent, Stack) and NestedStack.is_nested_stack(stack):
        stack = parent
    relative = path.removeprefix(stack.node.path + "/")
    return stack.stack_name, sha256(f"{stack.stack_name}/{relative}".encode()).hexdigest()[:8]
