"""Generates a template's secrets for Compose, by the rules in the template."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Callable, Mapping
from typing import Any, Final

from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.values import Values

_DYNAMIC: Final = re.compile(r"\{\{resolve:secretsmanager:(.+):SecretString:([^:}]*):.*\}\}")


class Secrets:
    """The values of the template's secrets; *remember* stores generated ones by name."""

    def __init__(
        self,
        resources: Mapping[str, Mapping[str, Any]],
        values: Values,
        remember: Callable[[str, Callable[[], str]], str],
    ) -> None:
        self._values = values
        self._remember = remember
        self._texts = {
            logical_id: self._make(logical_id, resource["Properties"])
            for logical_id, resource in resources.items()
            if resource["Type"] == "AWS::SecretsManager::Secret"
        }

    def text(self, reference: str) -> str | None:
        """Return the value of a reference ``ID`` or ``ID:field::``; None if the secret is not in the template."""
        logical_id, _, rest = reference.partition(":")
        if logical_id not in self._texts:
            return None
        name = rest.split(":")[0]
        text = self._texts[logical_id]
        return str(json.loads(text)[name]) if name else text

    def dynamic(self, value: Any) -> str:
        """Resolve the Secrets Manager reference in a property; raises a Refusal if the template lacks the secret."""
        text = self._values.text(value)
        match = _DYNAMIC.fullmatch(text)
        if match is None:
            return text
        if match[1] not in self._texts:
            raise Refusal(
                f"the credentials of a database or cache are in the secret {match[1]}, which is not in the template"
            )
        return str(self.text(f"{match[1]}:{match[2]}"))

    def _make(self, logical_id: str, properties: Mapping[str, Any]) -> str:
        rules = properties.get("GenerateSecretString")
        if rules is None:
            return str(properties.get("SecretString", ""))
        letters = string.ascii_letters + string.digits
        if not rules.get("ExcludePunctuation"):
            letters += "".join(c for c in "!#%()*+,-./:;<=>?@[]^_{|}~" if c not in rules.get("ExcludeCharacters", ""))
        length = int(rules.get("PasswordLength", 32))
        made = self._remember(f"compose/{logical_id}", lambda: "".join(secrets.choice(letters) for _ in range(length)))
        if "GenerateStringKey" not in rules:
            return made
        template = json.loads(self._values.text(rules["SecretStringTemplate"]))
        return json.dumps(template | {rules["GenerateStringKey"]: made})
