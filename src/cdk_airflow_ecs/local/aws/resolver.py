"""Resolves intrinsic functions, and orders resources."""

import base64
import json
import re
from typing import Any

from .account import Account, Stack
from .resources import Unsupported, handler

ABSENT = object()


class Resolver:
    """Resolves the intrinsic functions of a stack's template."""

    def __init__(self, stack: Stack, template: dict, parameters: dict[str, str]):
        self.stack, self.account = stack, stack.account
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
                value = self.account.client("ssm").get_parameter(Name=value)["Parameter"]["Value"]
            if kind in ("CommaDelimitedList", "List<String>"):
                value = [item.strip() for item in str(value).split(",")] if value else []
            values[name] = value
        return values

    def condition(self, name: str) -> bool:
        """Return the value of a template condition."""
        return self(self.template["Conditions"][name])

    def wanted(self) -> dict[str, dict]:
        """Return the resources without a condition or with a true one."""
        return {
            name: body
            for name, body in self.template["Resources"].items()
            if "Condition" not in body or self.condition(body["Condition"])
        }

    def outputs(self) -> dict[str, dict]:
        """Return the stack's outputs."""
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
        """Resolve all intrinsic functions in a value, and remove members that are `AWS::NoValue`."""
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
        """Resolve `Ref` to a parameter, pseudo parameter or resource."""
        pseudo = {
            "AWS::NoValue": ABSENT,
            "AWS::Region": self.account.region,
            "AWS::AccountId": self.account.id,
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
        return handler(live.type, self.account).attribute(live.physical_id, self(attribute))

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
        return [f"{self.account.region}{letter}" for letter in "abc"]

    def base64_(self, argument: Any) -> str:
        """`Fn::Base64`."""
        return base64.b64encode(self(argument).encode()).decode()

    def importvalue_(self, argument: Any) -> str:
        """`Fn::ImportValue`."""
        name = self(argument)
        for stack in self.account.stacks:
            for output in stack.outputs.values():
                if output.get("ExportName") == name:
                    return output["OutputValue"]
        raise Unsupported(f"No export named {name}")


def dynamic(account: Account, value: Any) -> Any:
    """Resolve `{{resolve:…}}` for an API call; the stack stores only the reference."""
    if isinstance(value, dict):
        return {key: dynamic(account, item) for key, item in value.items()}
    if isinstance(value, list):
        return [dynamic(account, item) for item in value]
    if isinstance(value, str):
        resolved = re.sub(r"\{\{resolve:([^}]+)\}\}", lambda match: _dynamic(account, match[1]), value)
        if "{{resolve:" in resolved:
            raise Unsupported(f"Dynamic reference in {value}")
        return resolved
    return value


def _dynamic(account: Account, reference: str) -> str:
    service, _, rest = reference.partition(":")
    if service == "ssm":
        return account.client("ssm").get_parameter(Name=rest)["Parameter"]["Value"]
    match = re.fullmatch(r"(?P<id>.+?):SecretString:(?P<key>[^:]*):?(?P<stage>[^:]*):?(?P<version>[^:]*)", rest)
    if service != "secretsmanager" or match is None:
        raise Unsupported(f"Dynamic reference to {service}")
    text = account.client("secretsmanager").get_secret_value(SecretId=match["id"])["SecretString"]
    return str(json.loads(text)[match["key"]]) if match["key"] else text


def references(value: Any) -> set[str]:
    """Return the logical ids referenced in a part of a template."""
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
    """Return the resources that a resource depends on."""
    explicit = body.get("DependsOn", [])
    explicit = {explicit} if isinstance(explicit, str) else set(explicit)
    return (explicit | references(body.get("Properties", {}))) & set(bodies)


def ordered(bodies: dict[str, dict]) -> list[str]:
    """Return the resources in an order that respects their dependencies and reveals missing ones.

    Custom resources and ECS services come as early as possible, because they use resources that they do not refer to.
    Only Cloud Map services precede ECS services: on a shared loopback, DNS names are resolved when a task starts.
    """
    waits = {name: needs(body, bodies) for name, body in bodies.items()}
    named = _before_names(bodies, waits)
    order: list[str] = []

    def eagerness(name: str) -> int:
        kind = bodies[name]["Type"]
        if kind.startswith("Custom::") or kind == "AWS::CloudFormation::CustomResource":
            return 0
        if kind == "AWS::ECS::Service":
            return 2
        return 1 if name in named else 3

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


def _before_names(bodies: dict[str, dict], waits: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    left = [name for name, body in bodies.items() if body["Type"] == "AWS::ServiceDiscovery::Service"]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += waits[name]
    return found
