"""What the roles of a template permit, against what components asked the AWS API for in a run.

The local API enforces no permission, so a run alone would not show that one is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

# What S3 wants for a method: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
S3 = {
    "GET object": "s3:GetObject",
    "HEAD object": "s3:GetObject",
    "PUT object": "s3:PutObject",
    "POST object": "s3:PutObject",
    "GET bucket": "s3:ListBucket",
    "HEAD bucket": "s3:ListBucket",
}
# Anybody may ask who they are.
FREE = {"sts:GetCallerIdentity"}


@dataclass(frozen=True)
class Grant:
    """One statement of a policy that allows something."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def covers(self, action: str, resource: str) -> bool:
        """Whether it allows an action on what has *resource* in its ARN."""
        return any(fnmatchcase(action.lower(), each.lower()) for each in self.actions) and any(
            each == "*" or resource in each for each in self.resources
        )


def grants(policies: Sequence[Mapping[str, Any]]) -> Iterator[Grant]:
    """The statements of policy documents that allow something, whatever their conditions."""
    for policy in policies:
        for statement in policy["Statement"]:
            if statement["Effect"] == "Allow":
                actions, resources = (
                    (part,) if isinstance(part, str) else tuple(part)
                    for part in (statement["Action"], statement["Resource"])
                )
                yield Grant(actions, resources)


def action(service: str, operation: str) -> str:
    """The action that a call needs; empty if its head does not say what it asks for."""
    if service == "s3":
        return S3[operation]
    return f"{service}:{operation}" if operation else ""


def forbidden(
    calls: Sequence[tuple[str, str, str, str]], granted: Mapping[str, Sequence[Grant]]
) -> list[tuple[str, str, str]]:
    """What was asked for and no statement allows: component, action, resource.

    Args:
        calls: component, service, operation, bucket.
        granted: what each component's task role allows.
    """
    found = set()
    for who, service, operation, resource in calls:
        wanted = action(service, operation) if who in granted else ""
        allowed = not wanted or wanted in FREE or any(each.covers(wanted, resource) for each in granted[who])
        if not allowed:
            found.add((who, wanted, resource))
    return sorted(found)
