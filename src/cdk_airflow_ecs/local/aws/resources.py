"""Base class of resource types, and conversion of properties to API parameters."""

import json
import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import jmespath
from botocore.exceptions import ClientError

from .account import Account

REGISTRY: dict[str, type["Resource"]] = {}


class Unsupported(Exception):
    """An unsupported type, property, attribute or change."""


class Failed(Exception):
    """A resource failed after it got a physical id, so a rollback must delete it."""

    def __init__(self, reason: str, physical_id: str):
        super().__init__(reason)
        self.physical_id = physical_id


def fit(value: Any, shape: Any, where: str) -> Any:  # noqa: PLR0911 (one per type)
    """Convert a CloudFormation value to the API's type, such as `"true"` to a boolean; ignores the case of names."""
    kind = shape.type_name
    if kind == "structure":
        members = {name.lower(): (name, member) for name, member in shape.members.items()}
        fitted = {}
        for name, item in value.items():
            if name.lower() not in members:
                raise Unsupported(f"Property {where}.{name} does not exist in the API")
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
    """A resource type. Subclasses set API calls, or override methods.

    Attributes:
        type: CloudFormation type; None for a base class.
        fixed: properties whose change replaces the resource.
        renames: properties with another name in the API.
        creates: API call that creates the resource, and JMESPath of the physical id in the response.
        key: API parameter that has the physical id.
        describes: API call that describes the resource, its id parameter and JMESPath of the description.
        attributes: `Fn::GetAtt` attributes, as JMESPath in the description.
        tagged: resource type in EC2 tag specifications.
        name: property with the resource's name, and the maximum length of the name.
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
        """Boto3 client of this resource type's service."""
        return self.client(self.service)

    def client(self, service: str) -> Any:
        """Return a boto3 client of any service."""
        return self.account.client(service)

    def call(self, method: str, properties: dict, service: str | None = None) -> dict:
        """Call the API with CloudFormation properties, converted to API parameters."""
        api = self.client(service or self.service)
        operation = api.meta.service_model.operation_model(api.meta.method_to_api_mapping[method])
        renamed = {self.renames.get(name, name): value for name, value in properties.items()}
        return getattr(api, method)(**fit(renamed, operation.input_shape, str(self.type)))

    def named(self, unique: str, p: dict) -> dict:
        """Return the properties, with a generated name if they have none."""
        if self.name:
            name, longest = self.name
            p.setdefault(name, shorten(unique, longest))
        return p

    def create(self, unique: str, p: dict) -> str:
        """Create the resource and return its physical id."""
        return self.make(self.named(unique, p))

    def make(self, p: dict) -> str:
        """Call the API that creates the resource; EC2 resources get tag specifications."""
        if self.tagged:
            tags = p.pop("Tags", None)
            if tags:
                p["TagSpecifications"] = [{"ResourceType": self.tagged, "Tags": tags}]
        method, path = self.creates
        return jmespath.search(path, self.call(method, p))

    def update(self, physical_id: str, p: dict, old: dict) -> str:
        """Update the resource and return its physical id; a new id means replacement."""
        changed = {name: value for name, value in p.items() if old.get(name) != value}
        gone = sorted(set(old) - set(p))
        if not self.updates or gone:
            raise Unsupported(f"{self.type}: updating {sorted(changed) + gone} is not supported")
        self.call(self.updates, {self.key: physical_id, **changed})
        return physical_id

    def delete(self, physical_id: str, p: dict) -> None:
        """Delete the resource."""
        self.call(self.deletes, {self.key: physical_id})

    def snapshot(self, physical_id: str, p: dict) -> None:
        """Delete the resource after creating a snapshot."""
        raise Unsupported(f"{self.type} has no snapshots")

    def describe(self, physical_id: str) -> dict:
        """Return the API's description of the resource."""
        method, parameter, path = self.describes
        if not method:
            raise Unsupported(f"Attributes of {self.type} are not supported")
        return jmespath.search(path, self.call(method, {parameter: physical_id}))

    def attribute(self, physical_id: str, name: str) -> Any:
        """Return the value of `Fn::GetAtt`."""
        if name not in self.attributes:
            raise Unsupported(f"Attribute {name} of {self.type} is not supported")
        value = jmespath.search(self.attributes[name], self.describe(physical_id))
        if value is None:
            raise Unsupported(f"{self.type} {physical_id} has no value for {name}")
        return value


def handler(kind: str, account: Account, stack_id: str = "", logical_id: str = "") -> Resource:
    """Return the resource type for one resource; custom resources share a type."""
    name = "AWS::CloudFormation::CustomResource" if kind.startswith("Custom::") else kind
    known = REGISTRY.get(kind) or REGISTRY.get(name)
    if known is None:
        raise Unsupported(f"Resource type {kind} is not supported")
    return known(account, stack_id, logical_id)


def turn(kind: str, account: Account) -> AbstractContextManager:
    """Return the lock for changing a resource; custom resources and nested stacks, which are slow, need none."""
    waits = kind.startswith("Custom::") or kind in ("AWS::CloudFormation::CustomResource", "AWS::CloudFormation::Stack")
    return nullcontext() if waits else account.turn


def shorten(unique: str, longest: int) -> str:
    """Shorten a generated name but keep its unique suffix."""
    head, _, suffix = unique.rpartition("-")
    return f"{head[: longest - len(suffix) - 1].rstrip('-')}-{suffix}"


def gone(error: ClientError) -> bool:
    """Return whether an error means that the resource does not exist."""
    return bool(re.search(r"NotFound|NoSuch|DoesNotExist|not found", str(error)))
