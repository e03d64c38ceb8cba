"""One emulated AWS account, and the stacks in it."""

import secrets
import string
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import boto3
from botocore.config import Config
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from .answers import Answers
from .authentication import Key


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

    account: "Account"
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
        self.id = self.account.arn("cloudformation", f"stack/{self.name}/{uuid.uuid4()}")

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


class Account:
    """The account that one API serves.

    Args:
        region: Its only region.

    Attributes:
        key: The key of this run, which its API accepts from whoever has it.
        url: Where its API listens for programs of this machine.
        task_url: Where tasks find it.
        stacks: Every stack, also those that were deleted.
        created: Who is told of each resource that was created: its type, logical id, physical id and properties.
        answers: What functions answer to CloudFormation.
        data: What each custom resource returned, by its physical id.
        turn: Stacks are deployed side by side; their calls take turns, since moto is not made for several at once.
        patience: The seconds that a custom resource gets at most. The default stands for CloudFormation's hour.
        function_seconds: How many seconds a function has, if a test wants it to be in a hurry.
    """

    id = "123456789012"

    def __init__(self, region: str = "us-east-1") -> None:
        self.region = region
        self.key = Key(id=f"AKIA{_random(16)}", secret=secrets.token_urlsafe(30))
        self.url = self.task_url = ""
        self.stacks: list[Stack] = []
        self.created: list[Callable[[str, str, str, dict], None]] = []
        self.answers = Answers()
        self.data: dict[str, dict] = {}
        self.turn = threading.RLock()
        self.patience = 60.0
        self.function_seconds: float | None = None
        self._clients: dict[str, Any] = {}
        self._session: Any = None
        self._making = threading.Lock()

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in this account."""
        return f"arn:aws:{service}:{self.region}:{self.id}:{resource}"

    def find(self, name: str, deleted: bool = False) -> Stack | None:
        """The stack of that name or id."""
        for stack in reversed(self.stacks):
            if name == stack.id or (name == stack.name and (deleted or stack.status != "DELETE_COMPLETE")):
                return stack
        return None

    def session(self, key: Key) -> Any:
        """A boto3 session with a key."""
        return boto3.Session(key.id, key.secret, key.token or None, region_name=self.region)

    def issued(self, identity: str) -> Key | None:
        """A key that the API issued, by its id: of an assumed role, or of a user."""
        role = sts_backends[self.id]["aws"].get_assumed_role_from_access_key(identity)
        if role is not None:
            expires = role.expiration.replace(tzinfo=timezone.utc)
            return Key(id=identity, secret=role.secret_access_key, token=role.session_token, expires=expires)
        for user in iam_backends[self.id]["aws"].users.values():
            for made in user.access_keys:
                if made.access_key_id == identity and made.status == "Active":
                    return Key(id=identity, secret=made.secret_access_key)
        return None

    def client(self, service: str) -> Any:
        """A boto3 client of this account's API, made once."""
        # One session, for each reads all of the world's endpoints; it makes clients for one thread at a time.
        with self._making:
            self._session = self._session or self.session(self.key)
            if service not in self._clients:
                config = Config(retries={"total_max_attempts": 1})
                self._clients[service] = self._session.client(service, endpoint_url=self.url, config=config)
            return self._clients[service]


def _random(length: int) -> str:
    alphabet = string.ascii_uppercase + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(length))
