"""Deploys a template: resolves it, orders it, creates, updates, replaces, rolls back and deletes."""

import base64
import json
import logging
import re
import secrets
import string
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from botocore.exceptions import ClientError

from .resources import REGION, REGISTRY, Failed, Resource, Unsupported, client, gone

ACCOUNT = "123456789012"
ABSENT = object()
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


class Resolver:
    """Resolves the intrinsic functions of one template in one stack."""

    def __init__(self, stack: Stack, template: dict, parameters: dict[str, str]):
        self.stack = stack
        self.template = template
        self.parameters = self._parameters(parameters)

    def _parameters(self, given: dict[str, str]) -> dict[str, Any]:
        values = {}
        for name, spec in self.template.get("Parameters", {}).items():
            if name not in given and "Default" not in spec:
                raise Unsupported(f"Parameter {name} has no value")
            value = given.get(name, spec.get("Default"))
            kind = spec.get("Type", "String")
            if kind.startswith("AWS::SSM::Parameter::Value"):
                value = client("ssm").get_parameter(Name=value)["Parameter"]["Value"]
            if kind in ("CommaDelimitedList", "List<String>"):
                value = [item.strip() for item in str(value).split(",")] if value else []
            values[name] = value
        return values

    def condition(self, name: str) -> bool:
        """Whether a named condition holds."""
        return self(self.template["Conditions"][name])

    def wanted(self) -> dict[str, dict]:
        """The resources whose condition holds."""
        return {
            name: body
            for name, body in self.template["Resources"].items()
            if "Condition" not in body or self.condition(body["Condition"])
        }

    def outputs(self) -> dict[str, dict]:
        """The stack's outputs."""
        found = {}
        for name, body in self.template.get("Outputs", {}).items():
            if "Condition" in body and not self.condition(body["Condition"]):
                continue
            found[name] = {
                "OutputKey": name,
                "OutputValue": str(self(body["Value"])),
                **({"ExportName": self(body["Export"]["Name"])} if "Export" in body else {}),
                **({"Description": body["Description"]} if "Description" in body else {}),
            }
        return found

    def __call__(self, value: Any) -> Any:
        """The value with every intrinsic function resolved, and without what `AWS::NoValue` takes away."""
        if isinstance(value, list):
            return [item for item in map(self, value) if item is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument) = next(iter(value.items()))
            if name in ("Ref", "Condition") and isinstance(argument, str):
                return self.ref(argument) if name == "Ref" else self.condition(argument)
            if name.startswith("Fn::"):
                function = getattr(self, name.removeprefix("Fn::").lower() + "_", None)
                if function is None:
                    raise Unsupported(f"Intrinsic function {name}")
                return function(argument)
        resolved = {key: self(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not ABSENT}

    def ref(self, name: str) -> Any:
        """`Ref` of a parameter, a pseudo parameter or a resource."""
        pseudo = {
            "AWS::NoValue": ABSENT,
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.stack.name,
            "AWS::StackId": self.stack.id,
            "AWS::NotificationARNs": [],
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        if name not in self.stack.resources:
            raise Unsupported(f"Ref to {name}, which does not exist")
        return self.stack.resources[name].physical_id

    def getatt_(self, argument: Any) -> Any:
        """`Fn::GetAtt`."""
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        live = self.stack.resources.get(logical_id)
        if live is None:
            raise Unsupported(f"GetAtt of {logical_id}.{attribute}, which does not exist")
        return handler(live.type).attribute(live.physical_id, self(attribute))

    def join_(self, argument: list) -> str:
        """`Fn::Join`."""
        return argument[0].join(str(item) for item in self(argument[1]))

    def split_(self, argument: list) -> list[str]:
        """`Fn::Split`."""
        return self(argument[1]).split(argument[0])

    def select_(self, argument: list) -> Any:
        """`Fn::Select`."""
        return self(argument[1])[int(self(argument[0]))]

    def sub_(self, argument: Any) -> str:
        """`Fn::Sub`."""
        text, names = argument if isinstance(argument, list) else (argument, {})

        def value(match: re.Match) -> str:
            name = match[1]
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in names:
                return str(self(names[name]))
            return str(self.getatt_(name) if "." in name else self.ref(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def if_(self, argument: list) -> Any:
        """`Fn::If`."""
        return self(argument[1] if self.condition(argument[0]) else argument[2])

    def equals_(self, argument: list) -> bool:
        """`Fn::Equals`."""
        left, right = self(argument)
        return str(left) == str(right)

    def and_(self, argument: list) -> bool:
        """`Fn::And`."""
        return all(self(argument))

    def or_(self, argument: list) -> bool:
        """`Fn::Or`."""
        return any(self(argument))

    def not_(self, argument: list) -> bool:
        """`Fn::Not`."""
        return not self(argument[0])

    def findinmap_(self, argument: list) -> Any:
        """`Fn::FindInMap`."""
        name, first, second = self(argument)
        return self.template["Mappings"][name][first][second]

    def getazs_(self, argument: Any) -> list[str]:
        """`Fn::GetAZs`."""
        return [f"{REGION}{letter}" for letter in "abc"]

    def base64_(self, argument: Any) -> str:
        """`Fn::Base64`."""
        return base64.b64encode(self(argument).encode()).decode()

    def importvalue_(self, argument: Any) -> str:
        """`Fn::ImportValue`."""
        name = self(argument)
        for stack in STACKS:
            for output in stack.outputs.values():
                if output.get("ExportName") == name:
                    return output["OutputValue"]
        raise Unsupported(f"No export named {name}")


def dynamic(value: Any) -> Any:
    """Resolves `{{resolve:…}}` on the way to the API: what the stack remembers keeps the reference."""
    if isinstance(value, dict):
        return {key: dynamic(item) for key, item in value.items()}
    if isinstance(value, list):
        return [dynamic(item) for item in value]
    if isinstance(value, str):
        resolved = re.sub(r"\{\{resolve:([^}]+)\}\}", lambda match: _dynamic(match[1]), value)
        if "{{resolve:" in resolved:
            raise Unsupported(f"Dynamic reference in {value}")
        return resolved
    return value


def _dynamic(reference: str) -> str:
    service, _, rest = reference.partition(":")
    if service == "ssm":
        return client("ssm").get_parameter(Name=rest)["Parameter"]["Value"]
    match = re.fullmatch(r"(?P<id>.+?):SecretString:(?P<key>[^:]*):?(?P<stage>[^:]*):?(?P<version>[^:]*)", rest)
    if service != "secretsmanager" or match is None:
        raise Unsupported(f"Dynamic reference to {service}")
    text = client("secretsmanager").get_secret_value(SecretId=match["id"])["SecretString"]
    return str(json.loads(text)[match["key"]]) if match["key"] else text


def references(value: Any) -> set[str]:
    """The logical ids that a piece of template mentions."""
    if isinstance(value, list):
        return set().union(*map(references, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found: set[str] = set()
    for name, argument in value.items():
        if name == "Ref" and isinstance(argument, str):
            found.add(argument)
        elif name == "Fn::GetAtt":
            found.add(argument.split(".")[0] if isinstance(argument, str) else argument[0])
        elif name == "Fn::Sub":
            text = argument[0] if isinstance(argument, list) else argument
            found |= {match.split(".")[0] for match in re.findall(r"\$\{([^!}][^}]*)\}", text)}
            found |= references(argument)
        else:
            found |= references(argument)
    return found


def needs(body: dict, bodies: dict[str, dict]) -> set[str]:
    """The resources that one resource waits for."""
    explicit = body.get("DependsOn", [])
    explicit = {explicit} if isinstance(explicit, str) else set(explicit)
    return (explicit | references(body.get("Properties", {}))) & set(bodies)


def ordered(bodies: dict[str, dict]) -> list[str]:
    """An order that the dependencies allow, and the one most likely to show a dependency that is missing.

    CloudFormation starts a resource as soon as it may. Custom resources and services, which need more than they
    refer to, therefore come as early as the template lets them.
    """
    waits = {name: needs(body, bodies) for name, body in bodies.items()}
    order: list[str] = []

    def eagerness(name: str) -> int:
        kind = bodies[name]["Type"]
        if kind.startswith("Custom::") or kind == "AWS::CloudFormation::CustomResource":
            return 0
        return 1 if kind == "AWS::ECS::Service" else 2

    while waits:
        ready = [name for name, others in waits.items() if not others]
        if not ready:
            raise Unsupported(f"Circular dependency among {sorted(waits)}")
        chosen = min(ready, key=eagerness)
        order.append(chosen)
        del waits[chosen]
        for others in waits.values():
            others.discard(chosen)
    return order


class Deployment:
    """One create, update or delete of a stack."""

    def __init__(self, stack: Stack):
        self.stack = stack
        self.before = dict(stack.resources)
        self.attempted: dict[str, dict] = {}
        self.garbage: list[Live] = []

    def create(self, template: dict, parameters: dict[str, str]) -> None:
        """Creates the stack's resources, or none."""
        self._run("CREATE", template, parameters, self._undo_create)

    def update(self, template: dict, parameters: dict[str, str]) -> None:
        """Brings the stack to another template, or back."""
        self._run("UPDATE", template, parameters, self._undo_update)

    def _run(self, verb: str, template: dict, parameters: dict[str, str], undo: Callable[[str], None]) -> None:
        stack = self.stack
        try:
            resolver = Resolver(stack, template, parameters)
            wanted = resolver.wanted()
            for body in wanted.values():
                handler(body["Type"])
            for name in ordered(wanted):
                self._apply(name, wanted[name], resolver)
            outputs = resolver.outputs()
        except Exception as error:  # whatever went wrong is the stack's reason
            if not isinstance(error, (Failed, Unsupported, ClientError)):
                logging.getLogger(__name__).exception("%s of %s", verb, stack.name)
            undo(self._reason(error))
            return
        self.garbage += [live for name, live in stack.resources.items() if name not in wanted]
        if verb == "UPDATE":
            stack.become("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        self._collect()
        stack.resources = {name: live for name, live in stack.resources.items() if name in wanted}
        stack.template, stack.parameters, stack.outputs = template, parameters, outputs
        stack.become(f"{verb}_COMPLETE")

    @staticmethod
    def _reason(error: Exception) -> str:
        text = str(error) or type(error).__name__
        if isinstance(error, (Failed, Unsupported, ClientError)):
            return text
        return f"{type(error).__name__}: {text}"

    def _apply(self, name: str, body: dict, resolver: Resolver) -> None:
        stack, kind = self.stack, body["Type"]
        resource = handler(kind, stack, name)
        live = stack.resources.get(name)
        verb, physical_id = ("UPDATE", live.physical_id) if live else ("CREATE", "")
        p: dict = {}
        try:
            p = resolver(body.get("Properties", {}))
            if live and live.type == kind and live.properties == p:
                live.body = body
                return
            stack.event(name, kind, physical_id, f"{verb}_IN_PROGRESS")
            self.attempted[name] = p
            changed = (
                {key for key in {*p, *live.properties} if p.get(key) != live.properties.get(key)} if live else set()
            )
            if live and live.type == kind and not changed & resource.fixed:
                with turn(kind):
                    new_id = resource.update(physical_id, dynamic(p), dynamic(live.properties))
                status = "UPDATE_COMPLETE"
            else:
                if live:
                    reason = "Requested update requires the creation of a new physical resource"
                    stack.event(name, kind, physical_id, "UPDATE_IN_PROGRESS", reason)
                with turn(kind):
                    new_id = resource.create(self._unique(name), dynamic(p))
                status = f"{verb}_COMPLETE"
                for told in CREATED:
                    told(kind, name, new_id, dynamic(p))
        except Exception as error:
            if isinstance(error, Failed):
                physical_id = error.physical_id
                if not live:
                    stack.resources[name] = Live(name, kind, physical_id, p, body, "CREATE_FAILED")
            stack.event(name, kind, physical_id, f"{verb}_FAILED", self._reason(error))
            raise
        if live and live.physical_id != new_id:
            self.garbage.append(live)
        stack.resources[name] = Live(name, kind, new_id, p, body, status)
        stack.event(name, kind, new_id, status)

    def _unique(self, name: str) -> str:
        alphabet = string.ascii_uppercase + string.digits
        return f"{self.stack.name}-{name}-{''.join(secrets.choice(alphabet) for _ in range(12))}"

    def _collect(self) -> None:
        """Deletes what was replaced or removed; a failure here leaves the resource behind and says so."""
        for live in reversed(self.garbage):
            replaced = live.logical_id in self.stack.resources and self.stack.resources[live.logical_id] is not live
            policy = live.body.get("UpdateReplacePolicy" if replaced else "DeletionPolicy", "Delete")
            self._delete(live, policy)

    def _delete(self, live: Live, policy: str) -> bool:
        stack, kind = self.stack, live.type
        if policy == "Retain":
            stack.event(live.logical_id, kind, live.physical_id, "DELETE_SKIPPED")
            return True
        stack.event(live.logical_id, kind, live.physical_id, "DELETE_IN_PROGRESS")
        resource = handler(kind, stack, live.logical_id)
        try:
            p = dynamic(live.properties)
            with turn(kind):
                if policy == "Snapshot":
                    resource.snapshot(live.physical_id, p)
                else:
                    resource.delete(live.physical_id, p)
        except Exception as error:
            if not (isinstance(error, ClientError) and gone(error)):
                stack.event(live.logical_id, kind, live.physical_id, "DELETE_FAILED", self._reason(error))
                return False
        stack.event(live.logical_id, kind, live.physical_id, "DELETE_COMPLETE")
        return True

    def _undo_create(self, reason: str) -> None:
        if self.stack.keep_on_failure:
            self.stack.become("CREATE_FAILED", reason)
            return
        self.stack.become("ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to create: {reason}")
        failed = self._delete_all(on_create=True)
        self.stack.become("ROLLBACK_FAILED" if failed else "ROLLBACK_COMPLETE", ", ".join(failed))

    def _undo_update(self, reason: str) -> None:
        """Takes every started resource back, in the old template's order, then deletes what was new."""
        stack = self.stack
        stack.become("UPDATE_ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to update: {reason}")
        old_bodies = {name: live.body for name, live in self.before.items()}
        new = [live for name, live in stack.resources.items() if self.before.get(name) is not live]
        for name in ordered(old_bodies):
            if name not in self.attempted:
                continue
            old, current = self.before[name], stack.resources[name]
            if current.physical_id == old.physical_id:
                stack.event(name, old.type, old.physical_id, "UPDATE_IN_PROGRESS")
                try:
                    attempted = dynamic(self.attempted[name])
                    handler(old.type, stack, name).update(old.physical_id, dynamic(old.properties), attempted)
                except Exception as error:
                    stack.event(name, old.type, old.physical_id, "UPDATE_FAILED", self._reason(error))
                    stack.become("UPDATE_ROLLBACK_FAILED", self._reason(error))
                    return
            stack.resources[name] = old
            stack.event(name, old.type, old.physical_id, "UPDATE_COMPLETE")
        stack.become("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        kept = {live.physical_id for live in self.before.values()}
        for live in reversed(new):
            if live.physical_id not in kept:
                self._delete(live, "Delete")
        stack.resources = self.before
        stack.become("UPDATE_ROLLBACK_COMPLETE")

    def delete(self) -> None:
        """Deletes the stack, but for what its template retains."""
        failed = self._delete_all()
        reason = f"The following resource(s) failed to delete: {', '.join(failed)}" if failed else ""
        self.stack.become("DELETE_FAILED" if failed else "DELETE_COMPLETE", reason)

    def _delete_all(self, on_create: bool = False) -> list[str]:
        bodies = {name: live.body for name, live in self.stack.resources.items()}
        failed: set[str] = set()
        kept: set[str] = set()
        for name in reversed(ordered(bodies)):
            live = self.stack.resources[name]
            if any(name in needs(bodies[other], bodies) for other in failed | kept):
                kept.add(name)  # what a failed resource stands on is not touched
                continue
            policy = live.body.get("DeletionPolicy", "Delete")
            if on_create and policy in ("Snapshot", "RetainExceptOnCreate"):
                policy = "Delete"
            if self._delete(live, policy):
                del self.stack.resources[name]
            else:
                failed.add(name)
        return sorted(failed)
