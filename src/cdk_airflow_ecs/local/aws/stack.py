"""A stack: what it is made of, what happened to it, and who handles each of its resources."""

import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timezone

from .resources import REGION, REGISTRY, Resource, Unsupported

ACCOUNT = "123456789012"
# Stacks are deployed side by side; their calls take turns, since moto is not made for several at once.
TURN = threading.RLock()


def now() -> datetime:
    """The time, as the API gives it."""
    return datetime.now(timezone.utc)


@dataclass
class Live:
    """A resource that exists: `properties` are resolved, except for dynamic references."""

    logical_id: str
    type: str
    physical_id: str
    properties: dict
    body: dict
    status: str = "CREATE_COMPLETE"
    changed: datetime = field(default_factory=now)


@dataclass
class Stack:
    """A stack and all that happened to it."""

    name: str
    template: dict = field(default_factory=lambda: {"Resources": {}})
    text: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    tags: list[dict] = field(default_factory=list)
    status: str = "REVIEW_IN_PROGRESS"
    reason: str = ""
    resources: dict[str, Live] = field(default_factory=dict)
    outputs: dict[str, dict] = field(default_factory=dict)
    events: list[dict] = field(default_factory=list)
    change_sets: dict[str, dict] = field(default_factory=dict)
    created: datetime = field(default_factory=now)
    protected: bool = False
    keep_on_failure: bool = False

    def __post_init__(self) -> None:
        self.id = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{self.name}/{uuid.uuid4()}"

    def event(self, logical_id: str, kind: str, physical_id: str, status: str, reason: str = "") -> None:
        """Records what happened, as `DescribeStackEvents` tells it."""
        self.events.append(
            {
                "StackId": self.id,
                "EventId": str(uuid.uuid4()),
                "StackName": self.name,
                "LogicalResourceId": logical_id,
                "PhysicalResourceId": physical_id,
                "ResourceType": kind,
                "Timestamp": now(),
                "ResourceStatus": status,
                **({"ResourceStatusReason": reason} if reason else {}),
            }
        )

    def become(self, status: str, reason: str = "") -> None:
        """Moves the stack itself to another status."""
        self.status, self.reason = status, reason
        self.event(self.name, "AWS::CloudFormation::Stack", self.id, status, reason)


STACKS: list[Stack] = []
# Who is told of each resource that was created: its type, logical id, physical id and properties.
CREATED: list[Callable[[str, str, str, dict], None]] = []


def handler(kind: str, stack: Stack | None = None, logical_id: str = "") -> Resource:
    """The resource type of that name, for one resource; custom resources share a type."""
    name = "AWS::CloudFormation::CustomResource" if kind.startswith("Custom::") else kind
    known = REGISTRY.get(kind) or REGISTRY.get(name)
    if known is None:
        raise Unsupported(f"Resource type {kind} has no counterpart here")
    return known(stack.id if stack else "", logical_id)


def turn(kind: str) -> AbstractContextManager:
    """What is held while a resource is made, changed or deleted; a custom one may take its time."""
    waits = kind.startswith("Custom::") or kind in ("AWS::CloudFormation::CustomResource", "AWS::CloudFormation::Stack")
    return nullcontext() if waits else TURN
