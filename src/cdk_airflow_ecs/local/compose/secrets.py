"""The secrets of a template, generated for Compose by the template's own rules."""

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
    """What each secret of the template says here.

    Args:
        resources: those of the template.
        values: tells what its symbols are.
        remember: keeps generated secrets, by name, so that a second translation has the same.
    """

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
        """What ``ID``, or ``ID:field::``, stands for; None if the template does not make that secret."""
        logical_id, _, rest = reference.partition(":")
        if logical_id not in self._texts:
            return None
        name = rest.split(":")[0]
        text = self._texts[logical_id]
        return str(json.loads(text)[name]) if name else text

    def dynamic(self, value: Any) -> str:
        """A property that CloudFormation would fill from Secrets Manager.

        Raises:
            Refusal: if the template does not make that secret: nobody here knows what it says.
        """
        text = self._values.text(value)
        match = _DYNAMIC.fullmatch(text)
        if match is None:
            return text
        if match[1] not in self._texts:
            raise Refusal(f"a store's login is in the secret {match[1]}, which the template does not make")
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
