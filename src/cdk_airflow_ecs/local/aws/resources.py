"""The contract between the engine and the resource types, and the way from a property to an API call."""

import json
import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import jmespath
from botocore.exceptions import ClientError

from .account import Account

REGISTRY: dict[str, type["Resource"]] = {}


class Unsupported(Exception):
    """The emulator does not know this type, property, attribute or change; it never guesses."""


class Failed(Exception):
    """A resource failed after it got a physical id, so that a rollback still has to delete it."""

    def __init__(self, reason: str, physical_id: str):
        super().__init__(reason)
        self.physical_id = physical_id


def fit(value: Any, shape: Any, where: str) -> Any:  # noqa: PLR0911 (one per type)
    """Casts CloudFormation's spelling of a value to what the API's own model asks for.

    Names match whatever their case, `"true"` becomes a boolean and a policy document a string. A name the API does
    not know is an error.
    """
    kind = shape.type_name
    if kind == "structure":
        members = {name.lower(): (name, member) for name, member in shape.members.items()}
        fitted = {}
        for name, item in value.items():
            if name.lower() not in members:
                raise Unsupported(f"Property {where}.{name} has no counterpart in the API")
            member, member_shape = members[name.lower()]
            fitted[member] = fit(item, member_shape, f"{where}.{name}")
        return fitted
    if kind == "list":
        items = value if isinstance(value, list) else [value]
        return [fit(item, shape.member, where) for item in items]
    if kind == "map":
        if isinstance(value, list):
            value = {tag["Key"]: tag["Value"] for tag in value}
        return {key: fit(item, shape.value, f"{where}.{key}") for key, item in value.items()}
    if kind == "boolean":
        return value in (True, "true", "True")
    if kind in ("integer", "long"):
        return int(value)
    if kind in ("float", "double"):
        return float(value)
    if kind == "string" and isinstance(value, dict):
        return json.dumps(value)
    if kind == "string" and isinstance(value, bool):
        return str(value).lower()
    return str(value) if kind == "string" else value


class Resource:
    """One resource type: a subclass names its API calls, or overrides what a call alone cannot do.

    Attributes:
        type: CloudFormation's name of the type; `None` for a base class.
        service: boto3's name of the service.
        fixed: Properties whose change replaces the resource.
        renames: Properties that the API spells differently.
        creates: The API call that creates it, and the JMESPath of its physical id in the answer.
        updates: The API call that changes it in place, if one does.
        deletes: The API call that deletes it.
        key: The parameter that carries the physical id.
        describes: The API call that describes it, its id parameter and the JMESPath of the description.
        attributes: What `Fn::GetAtt` returns, as JMESPath into the description.
        tagged: For EC2, the type's name in a tag specification.
        name: The property that names the resource, and the longest name allowed.
    """

    type: ClassVar[str | None] = None
    service: ClassVar[str] = ""
    fixed: ClassVar[set[str]] = set()
    renames: ClassVar[dict[str, str]] = {}
    creates: ClassVar[tuple[str, str]] = ("", "")
    updates: ClassVar[str] = ""
    deletes: ClassVar[str] = ""
    key: ClassVar[str] = ""
    describes: ClassVar[tuple[str, str, str]] = ("", "", "")
    attributes: ClassVar[dict[str, str]] = {}
    tagged: ClassVar[str] = ""
    name: ClassVar[tuple[str, int] | None] = None

    def __init_subclass__(cls) -> None:
        if cls.type:
            REGISTRY[cls.type] = cls

    def __init__(self, account: Account, stack_id: str = "", logical_id: str = ""):
        self.account = account
        self.stack_id = stack_id
        self.logical_id = logical_id

    @property
    def api(self) -> Any:
        """The client of this type's service."""
        return self.client(self.service)

    def client(self, service: str) -> Any:
        """The client of any service of the account."""
        return self.account.client(service)

    def call(self, method: str, properties: dict, service: str | None = None) -> dict:
        """Calls the API with CloudFormation's properties."""
        api = self.client(service or self.service)
        operation = api.meta.service_model.operation_model(api.meta.method_to_api_mapping[method])
        renamed = {self.renames.get(name, name): value for name, value in properties.items()}
        return getattr(api, method)(**fit(renamed, operation.input_shape, str(self.type)))

    def named(self, unique: str, p: dict) -> dict:
        """Gives the resource its generated name unless it has one."""
        if self.name:
            name, longest = self.name
            p.setdefault(name, shorten(unique, longest))
        return p

    def create(self, unique: str, p: dict) -> str:
        """Creates the resource and returns its physical id."""
        return self.make(self.named(unique, p))

    def make(self, p: dict) -> str:
        """Calls the API that creates, with the tags where it wants them."""
        if self.tagged:
            tags = p.pop("Tags", None)
            if tags:
                p["TagSpecifications"] = [{"ResourceType": self.tagged, "Tags": tags}]
        method, path = self.creates
        return jmespath.search(path, self.call(method, p))

    def update(self, physical_id: str, p: dict, old: dict) -> str:
        """Changes the resource in place and returns its physical id; another id replaces the resource."""
        changed = {name: value for name, value in p.items() if old.get(name) != value}
        gone = sorted(set(old) - set(p))
        if not self.updates or gone:
            raise Unsupported(f"{self.type}: no way to update {sorted(changed) + gone}")
        self.call(self.updates, {self.key: physical_id, **changed})
        return physical_id

    def delete(self, physical_id: str, p: dict) -> None:
        """Deletes the resource."""
        self.call(self.deletes, {self.key: physical_id})

    def snapshot(self, physical_id: str, p: dict) -> None:
        """Deletes the resource and leaves a snapshot."""
        raise Unsupported(f"{self.type} has no snapshots")

    def describe(self, physical_id: str) -> dict:
        """What the API says of the resource."""
        method, parameter, path = self.describes
        if not method:
            raise Unsupported(f"{self.type} has no attributes here")
        return jmespath.search(path, self.call(method, {parameter: physical_id}))

    def attribute(self, physical_id: str, name: str) -> Any:
        """What `Fn::GetAtt` returns."""
        if name not in self.attributes:
            raise Unsupported(f"{self.type} has no attribute {name} here")
        value = jmespath.search(self.attributes[name], self.describe(physical_id))
        if value is None:
            raise Unsupported(f"{self.type} {physical_id} says nothing of its {name}")
        return value


def handler(kind: str, account: Account, stack_id: str = "", logical_id: str = "") -> Resource:
    """The resource type of that name, for one resource; custom resources share a type."""
    name = "AWS::CloudFormation::CustomResource" if kind.startswith("Custom::") else kind
    known = REGISTRY.get(kind) or REGISTRY.get(name)
    if known is None:
        raise Unsupported(f"Resource type {kind} has no counterpart here")
    return known(account, stack_id, logical_id)


def turn(kind: str, account: Account) -> AbstractContextManager:
    """What is held while a resource is made, changed or deleted; a custom one may take its time."""
    waits = kind.startswith("Custom::") or kind in ("AWS::CloudFormation::CustomResource", "AWS::CloudFormation::Stack")
    return nullcontext() if waits else account.turn


def shorten(unique: str, longest: int) -> str:
    """Cuts a generated name in its middle, keeping the suffix that makes it unique."""
    head, _, suffix = unique.rpartition("-")
    return f"{head[: longest - len(suffix) - 1].rstrip('-')}-{suffix}"


def gone(error: ClientError) -> bool:
    """Whether an error says that the resource does not exist any more."""
    return bool(re.search(r"NotFound|NoSuch|DoesNotExist|not found", str(error)))
