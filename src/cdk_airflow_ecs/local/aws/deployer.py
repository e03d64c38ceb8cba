"""Deploys the stacks of an assembly to the emulated, bootstrapped account."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cdk_airflow_ecs.local.assembly import StackFile
from cdk_airflow_ecs.local.aws.account import Account, Stack
from cdk_airflow_ecs.local.aws.engine import Deployment
from cdk_airflow_ecs.local.refusal import Refusal

# Version of the CDK bootstrap stack that the account has; templates require a minimum.
_BOOTSTRAP = "30"


class Deployer:
    """Deploys stacks, without deleting the resources of a failed stack; *tell* receives resource events."""

    def __init__(self, account: Account, tell: Callable[[str, str, str], None]) -> None:
        self._account, self._tell = account, tell
        # CloudFormation's timeout, because a migration may take long.
        account.patience = 3600.0

    def deploy(self, stacks: Sequence[StackFile]) -> list[Stack]:
        """Deploy all stacks, or raise a Refusal with resource and reason."""
        self._account.client("ssm").put_parameter(
            Name="/cdk-bootstrap/hnb659fds/version", Value=_BOOTSTRAP, Type="String", Overwrite=True
        )
        return [self._deploy(file) for file in stacks]

    def _deploy(self, file: StackFile) -> Stack:
        for asset in file.files:
            self._upload(asset.path, asset.zipped, self._filled(asset.bucket), asset.key)
        stack = _Told(self._account, file.name)
        stack.tell = self._tell
        stack.keep_on_failure = True
        self._account.stacks.append(stack)
        Deployment(stack).create(file.template, {})
        if stack.status != "CREATE_COMPLETE":
            failed = [
                event
                for event in stack.events
                if event["ResourceStatus"] == "CREATE_FAILED" and event["LogicalResourceId"] != file.name
            ]
            about = f"{failed[0]['ResourceType']} {failed[0]['LogicalResourceId']}: " if failed else ""
            raise Refusal(f"{file.name} could not be created locally: {about}{stack.reason}")
        return stack

    def _upload(self, path: Path, zipped: bool, bucket: str, key: str) -> None:
        s3 = self._account.client("s3")
        if bucket not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=_archive(path) if zipped else path.read_bytes())

    def _filled(self, text: str) -> str:
        for name, value in {"AccountId": self._account.id, "Region": self._account.region, "Partition": "aws"}.items():
            text = text.replace("${AWS::" + name + "}", value)
        return text


class _Told(Stack):
    tell: Callable[[str, str, str], None] = staticmethod(lambda logical_id, kind, status: None)

    def event(self, logical_id: str, kind: str, physical_id: str, status: str, reason: str = "") -> None:
        super().event(logical_id, kind, physical_id, status, reason)
        self.tell(logical_id, kind, status)


def resources(stacks: Sequence[Stack], kind: str) -> dict[str, str]:
    """Return the physical ids of a resource type, by logical id."""
    return {
        live.logical_id: live.physical_id for stack in stacks for live in stack.resources.values() if live.type == kind
    }


def outputs(stacks: Sequence[Stack]) -> dict[str, dict[str, Any]]:
    """Return the outputs of all stacks."""
    return {name: output for stack in stacks for name, output in stack.outputs.items()}


def _archive(folder: Path) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return made.getvalue()
