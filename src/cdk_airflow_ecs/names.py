"""Physical names, unique for each cluster of each deployed stack and stable between deployments."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from aws_cdk import NestedStack, Stack
from constructs import Construct

# RegisterTaskDefinition accepts 255 characters; a component's path has at most 64.
_PREFIX_LETTERS: Final = 160


def namespace_name(scope: Construct) -> str:
    """Return the name of the cluster's private DNS zone, unique in a VPC."""
    _, digest = _deployed(scope)
    slug = re.sub(r"[^a-z0-9]+", "-", scope.node.id.lower()).strip("-")[:24] or "airflow"
    return f"{slug}-{digest}.airflow.internal"


def family_prefix(scope: Construct) -> str:
    """Return the prefix of the cluster's task-definition families, unique in account and region."""
    stack_name, digest = _deployed(scope)
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{stack_name}-{scope.node.id}")
    return f"{slug[: _PREFIX_LETTERS - len(digest) - 1]}-{digest}"


def _deployed(scope: Construct) -> tuple[str, str]:
    """Return the name of the top-level stack, and a digest of that name and the construct's path below it."""
    stack = Stack.of(scope)
    path = scope.node.path
    # AWS chooses the name of a nested stack at deploy time.
    while isinstance(parent := stack.nested_stack_parent, Stack) and NestedStack.is_nested_stack(stack):
        stack = parent
    relative = path.removeprefix(stack.node.path + "/")
    return stack.stack_name, sha256(f"{stack.stack_name}/{relative}".encode()).hexdigest()[:8]
