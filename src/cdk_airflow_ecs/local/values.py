"""Resolves intrinsic functions without the local API."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cdk_airflow_ecs.local.refusal import Refusal

_PSEUDO = {
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "local",
    "AWS::NoValue": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Resolves values of one template; *answer* returns a resource's attribute (or "Ref"), or None if unsupported.

    Examples:
        >>> values = Values(template={"Resources": {}}, answer=lambda logical_id, attribute: f"<{logical_id}>")
        >>> values.text({"Fn::Join": ["", ["s3://", {"Ref": "Bucket"}, "/logs"]]})
        's3://<Bucket>/logs'
    """

    template: Mapping[str, Any]
    answer: Callable[[str, str], str | None]

    def text(self, value: Any) -> str:
        """Resolve a value to text; raises a Refusal for unsupported functions and resources."""
        found = self.any(value)
        if isinstance(found, bool):
            return "true" if found else "false"
        if isinstance(found, list | dict):
            raise Refusal(f"{value!r} must resolve to text")
        return str(found)

    def any(self, value: Any) -> Any:  # noqa: PLR0911  # a table
        """Resolve a template's value of any type."""
        if isinstance(value, list):
            return [self.any(each) for each in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, given),) = value.items()
            if name == "Ref":
                return self._reference(given)
            if name == "Fn::GetAtt":
                logical_id, _, attribute = given.partition(".") if isinstance(given, str) else (given[0], "", given[1])
                return self._attribute(logical_id, attribute)
            if name == "Fn::Join":
                return given[0].join(self.text(each) for each in self.any(given[1]))
            if name == "Fn::Sub":
                return self._substitute(given)
            if name == "Fn::Select":
                return self.any(given[1])[int(given[0])]
            if name == "Fn::Split":
                return self.text(given[1]).split(given[0])
            if name.startswith("Fn::") or name == "Condition":
                raise Refusal(f"template function {name} is not supported locally")
        return {name: self.any(each) for name, each in value.items()}

    def _reference(self, name: str) -> Any:
        if name in _PSEUDO:
            return _PSEUDO[name]
        parameter = self.template.get("Parameters", {}).get(name)
        if parameter is not None:
            if "Default" not in parameter:
                raise Refusal(f"template parameter {name} must have a default value")
            return parameter["Default"]
        return self._attribute(name, "Ref")

    def _attribute(self, logical_id: str, attribute: str) -> str:
        found = self.answer(logical_id, attribute)
        if found is None:
            kind = self.template["Resources"].get(logical_id, {}).get("Type", "not in the template")
            raise Refusal(f"{attribute} of {logical_id} ({kind}) is not supported locally")
        return found

    def _substitute(self, given: Any) -> str:
        text, own = (given, {}) if isinstance(given, str) else given

        def put(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in own:
                return self.text(own[name])
            return self.text({"Fn::GetAtt": name} if "." in name else {"Ref": name})

        return re.sub(r"\$\{([^}]+)\}", put, text)
