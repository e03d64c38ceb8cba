"""Credentials of IAM roles, and secrets read with these credentials."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from cdk_airflow_ecs.local.aws.account import Account
from cdk_airflow_ecs.local.refusal import Refusal


@dataclass
class Credentials:
    """Gets role credentials and secrets from the local AWS API."""

    account: Account
    roles: dict[str, str] = field(default_factory=dict)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _session: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def assume(self, role: str, session: str) -> dict[str, Any]:
        """Return credentials of a role, and record their access key in `roles`."""
        client = self.account.client("sts")
        found: dict[str, Any] = client.assume_role(RoleArn=role, RoleSessionName=session[:64])["Credentials"]
        self.roles[found["AccessKeyId"]] = role
        return found

    def secret(self, reference: str, role: str) -> str:
        """Return the value of a `valueFrom` (secret, field of a secret or parameter), read with the execution role."""
        parts = reference.split(":")
        if parts[2:3] == ["ssm"] or not reference.startswith("arn:"):
            name = reference.partition(":parameter")[2] or reference
            found = self._client("ssm", role).get_parameter(Name=name, WithDecryption=True)
            return str(found["Parameter"]["Value"])
        key, stage, version = (*parts[7:], "", "", "")[:3]
        wanted = {"VersionStage": stage, "VersionId": version}
        text = self._client("secretsmanager", role).get_secret_value(
            SecretId=":".join(parts[:7]), **{name: value for name, value in wanted.items() if value}
        )["SecretString"]
        if not key:
            return str(text)
        fields = json.loads(text)
        if key not in fields:
            raise Refusal(f"secret {parts[6]} has no field {key}")
        return str(fields[key])

    def client(self, service: str, found: dict[str, Any]) -> Any:
        """Return a new client with the credentials of a role."""
        with self._lock:  # clients are thread-safe, sessions are not
            self._session = self._session or self.account.session(self.account.key)
            return self._session.client(
                service,
                endpoint_url=self.account.url,
                aws_access_key_id=found["AccessKeyId"],
                aws_secret_access_key=found["SecretAccessKey"],
                aws_session_token=found["SessionToken"],
            )

    def _client(self, service: str, role: str) -> Any:
        if not role:
            return self.account.client(service)
        with self._lock:
            made = self._clients.get((service, role))
        if made is None:
            made = self.client(service, self.assume(role, "execution"))
            with self._lock:
                self._clients[service, role] = made
        return made
