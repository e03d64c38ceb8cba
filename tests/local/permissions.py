"""Compares the recorded AWS API requests with the permissions of task roles, which the local API does not enforce."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
S3 = {
    "GET object": "s3:GetObject",
    "HEAD object": "s3:GetObject",
    "PUT object": "s3:PutObject",
    "POST object": "s3:PutObject",
    "GET bucket": "s3:ListBucket",
    "HEAD bucket": "s3:ListBucket",
}
# Actions that AWS allows without permission.
FREE = {"sts:GetCallerIdentity"}


@dataclass(frozen=True)
class Grant:
    """A policy statement that allows actions."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def covers(self, action: str, resource: str) -> bool:
        """Return whether the statement allows an action on an ARN that contains *resource*."""
        return any(fnmatchcase(action.lower(), each.lower()) for each in self.actions) and any(
            each == "*" or resource in each for each in self.resources
        )


def grants(policies: Sequence[Mapping[str, Any]]) -> Iterator[Grant]:
    """Yield the statements of policy documents that allow actions, without their conditions."""
    for policy in policies:
        for statement in policy["Statement"]:
            if statement["Effect"] == "Allow":
                actions, resources = (
                    (part,) if isinstance(part, str) else tuple(part)
                    for part in (statement["Action"], statement["Resource"])
                )
                yield Grant(actions, resources)


def action(service: str, operation: str) -> str:
    """Return the IAM action that an API request needs; empty if only the request's body contains it."""
    if service == "s3":
        return S3[operation]
    return f"{service}:{operation}" if operation else ""


def forbidden(
    calls: Sequence[tuple[str, str, str, str]], granted: Mapping[str, Sequence[Grant]]
) -> list[tuple[str, str, str]]:
    """Return the requests that no statement allows, as component, action, resource."""
    found = set()
    for who, service, operation, resource in calls:
        needed = action(service, operation) if who in granted else ""
        allowed = not needed or needed in FREE or any(each.covers(needed, resource) for each in granted[who])
        if not allowed:
            found.add((who, needed, resource))
    return sorted(found)
