"""One emulated AWS account and its stacks."""

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
    """Return the current time."""
    return datetime.now(timezone.utc)


@dataclass
class Live:
    """An existing resource; its `properties` are resolved, except for dynamic references."""

    logical_id: str
    type: str
    physical_id: str
    properties: dict
    body: dict
    status: str = "CREATE_COMPLETE"
    changed: datetime = field(default_factory=now)


@dataclass
class Stack:
    """A stack and its history."""

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
        """Record an event for `DescribeStackEvents`."""
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
        """Set the stack's status, and record it as an event."""
        self.status, self.reason = status, reason
        self.event(self.name, "AWS::CloudFormation::Stack", self.id, status, reason)


class Account:
    """The account of one API.

    Attributes:
        url: API address for processes of this machine.
        task_url: API address for tasks.
        stacks: all stacks, including deleted ones.
        created: called for each created resource with type, logical id, physical id and properties.
        answers: responses of custom resource functions.
        data: attributes returned by each custom resource, by physical id.
        turn: lock that serializes parallel deployments, because moto is not thread-safe.
        patience: seconds after which a custom resource fails (an hour in CloudFormation).
        function_seconds: timeout of all Lambda functions, for tests; None uses their own.
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
        """Return an ARN in this account."""
        return f"arn:aws:{service}:{self.region}:{self.id}:{resource}"

    def find(self, name: str, deleted: bool = False) -> Stack | None:
        """Return the stack with this name or id."""
        for stack in reversed(self.stacks):
            if name == stack.id or (name == stack.name and (deleted or stack.status != "DELETE_COMPLETE")):
                return stack
        return None

    def session(self, key: Key) -> Any:
        """Return a boto3 session that signs with a key."""
        return boto3.Session(key.id, key.secret, key.token or None, region_name=self.region)

    def issued(self, identity: str) -> Key | None:
        """Return the key with this access key id, which belongs to an assumed role or a user."""
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
        """Return a cached boto3 client of the local AWS API."""
        # All clients share a session, because creating one is slow. The lock is needed: sessions are not thread-safe.
        with self._making:
            self._session = self._session or self.session(self.key)
            if service not in self._clients:
                config = Config(retries={"total_max_attempts": 1})
                self._clients[service] = self._session.client(service, endpoint_url=self.url, config=config)
            return self._clients[service]


def _random(length: int) -> str:
    alphabet = string.ascii_uppercase + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(length))
