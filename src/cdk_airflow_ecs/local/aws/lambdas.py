"""Lambda functions, which run in separate processes, and custom resources."""

# ruff: noqa: D101, D102 (a type is its name, and each method is described by `Resource`)

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from .account import Account
from .resources import Failed, Resource, Unsupported, shorten

RUNTIME = Path(__file__).with_name("runtime.py")


class Function(Resource):
    type = "AWS::Lambda::Function"
    service = "lambda"
    fixed = {"FunctionName", "PackageType"}
    name = ("FunctionName", 64)
    creates = ("create_function", "FunctionName")
    deletes = "delete_function"
    key = "FunctionName"
    describes = ("get_function", "FunctionName", "Configuration")
    attributes = {"Arn": "FunctionArn"}

    def create(self, unique, p):
        p["Code"] = self._code(p["Code"])
        return self.make(self.named(unique, p))

    @staticmethod
    def _code(code):
        if "ZipFile" not in code:
            return code
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as bundle:
            bundle.writestr("index.py", code["ZipFile"])
        return {"ZipFile": archive.getvalue()}

    def update(self, physical_id, p, old):
        changed = {name: value for name, value in p.items() if old.get(name) != value and name != "Tags"}
        code = changed.pop("Code", None)
        if code:
            self.call("update_function_code", {"FunctionName": physical_id, **self._code(code)})
        if changed:
            self.call("update_function_configuration", {"FunctionName": physical_id, **changed})
        return physical_id


class LayerVersion(Resource):
    type = "AWS::Lambda::LayerVersion"
    service = "lambda"
    fixed = {"Content", "LayerName", "Description"}
    name = ("LayerName", 64)
    creates = ("publish_layer_version", "LayerVersionArn")

    def delete(self, physical_id, p):
        name, version = physical_id.split(":layer:", 1)[1].split(":")
        self.api.delete_layer_version(LayerName=name, VersionNumber=int(version))


class Permission(Resource):
    type = "AWS::Lambda::Permission"
    service = "lambda"
    fixed = {"Action", "FunctionName", "Principal", "SourceArn", "SourceAccount"}

    def create(self, unique, p):
        self.call("add_permission", {**p, "StatementId": shorten(unique, 100)})
        return shorten(unique, 100)

    def delete(self, physical_id, p):
        self.api.remove_permission(FunctionName=p["FunctionName"], StatementId=physical_id)


class EventInvokeConfig(Resource):
    type = "AWS::Lambda::EventInvokeConfig"
    service = "lambda"
    fixed = {"FunctionName", "Qualifier"}

    def create(self, unique, p):
        self.call("put_function_event_invoke_config", {key: p[key] for key in p if key != "Qualifier"})
        return p["FunctionName"]

    def update(self, physical_id, p, old):
        return self.create("", p)

    def delete(self, physical_id, p):
        self.api.delete_function_event_invoke_config(FunctionName=p["FunctionName"])


class CustomResource(Resource):
    """Calls the function of the `ServiceToken`, as CloudFormation does."""

    type = "AWS::CloudFormation::CustomResource"
    fixed = {"ServiceToken"}

    def _ask(self, kind, physical_id, p, old=None):
        properties = {name: self._text(value) for name, value in p.items() if name != "ServiceTimeout"}
        token = self.account.answers.expect()
        event = {
            "RequestType": kind,
            "ServiceToken": p["ServiceToken"],
            "ResponseURL": f"{self.account.url}/_emulator/answers/{token}",
            "StackId": self.stack_id,
            "RequestId": token,
            "LogicalResourceId": self.logical_id,
            "ResourceType": "AWS::CloudFormation::CustomResource",
            "ResourceProperties": properties,
        }
        if physical_id:
            event["PhysicalResourceId"] = physical_id
        if old is not None:
            event["OldResourceProperties"] = {
                name: self._text(value) for name, value in old.items() if name != "ServiceTimeout"
            }
        self.client("lambda").invoke(
            FunctionName=p["ServiceToken"], InvocationType="Event", Payload=json.dumps(event).encode()
        )
        patience = min(self.account.patience, float(p.get("ServiceTimeout", 3600)))
        answer = self.account.answers.wait(token, patience)
        if answer is None:
            message = "CloudFormation did not receive a response from your Custom Resource. "
            raise Failed(f"{message}Please check your logs for requestId [{token}]", physical_id or self.logical_id)
        new_id = answer["PhysicalResourceId"]
        if answer["Status"] != "SUCCESS":
            reason = answer.get("Reason", "")
            raise Failed(
                f"Received response status [FAILED] from custom resource. Message returned: {reason} "
                f"(RequestId: {token})",
                new_id,
            )
        self.account.data[new_id] = answer.get("Data") or {}
        return new_id

    def _text(self, value):
        if isinstance(value, dict):
            return {key: self._text(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._text(item) for item in value]
        return str(value).lower() if isinstance(value, bool) else str(value)

    def create(self, unique, p):
        return self._ask("Create", None, p)

    def update(self, physical_id, p, old):
        return self._ask("Update", physical_id, p, old)

    def delete(self, physical_id, p):
        self._ask("Delete", physical_id, p)

    def attribute(self, physical_id, name):
        if name not in self.account.data.get(physical_id, {}):
            raise Unsupported(f"The custom resource {physical_id} did not return {name}")
        return self.account.data[physical_id][name]


class Substitute(Resource):
    """A custom resource of CDK whose Lambda handler cannot run locally; its effect is emulated."""

    service = "s3"

    def create(self, unique, p):
        self.apply(p)
        return shorten(unique, 64)

    def update(self, physical_id, p, old):
        self.apply(p)
        return physical_id

    def apply(self, p):
        """Emulate the handler's effect."""

    def delete(self, physical_id, p):
        """Do nothing."""


class BucketDeployment(Substitute):
    """Extracts the source assets into the bucket; the handler needs the `aws` CLI of its layer."""

    type = "Custom::CDKBucketDeployment"

    def _prefix(self, p):
        prefix = p.get("DestinationBucketKeyPrefix", "").strip("/")
        return f"{prefix}/" if prefix else ""

    def apply(self, p):
        bucket, prefix, kept = p["DestinationBucketName"], self._prefix(p), set()
        for source, key in zip(p["SourceBucketNames"], p["SourceObjectKeys"], strict=True):
            body = self.api.get_object(Bucket=source, Key=key)["Body"].read()
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                for name in archive.namelist():
                    if not name.endswith("/"):
                        kept.add(prefix + name)
                        self.api.put_object(Bucket=bucket, Key=prefix + name, Body=archive.read(name))
        if p.get("Prune", True) in (True, "true"):
            for item in self.api.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
                if item["Key"] not in kept:
                    self.api.delete_object(Bucket=bucket, Key=item["Key"])

    def delete(self, physical_id, p):
        if p.get("RetainOnDelete", True) in (True, "true"):
            return
        for item in self.api.list_objects_v2(Bucket=p["DestinationBucketName"]).get("Contents", []):
            self.api.delete_object(Bucket=p["DestinationBucketName"], Key=item["Key"])


class AutoDeleteObjects(Substitute):
    """Empties a bucket before its deletion; the handler needs Node.js."""

    type = "Custom::S3AutoDeleteObjects"

    def delete(self, physical_id, p):
        versions = self.api.list_object_versions(Bucket=p["BucketName"])
        for item in versions.get("Versions", []) + versions.get("DeleteMarkers", []):
            version = {} if item["VersionId"] == "null" else {"VersionId": item["VersionId"]}
            self.api.delete_object(Bucket=p["BucketName"], Key=item["Key"], **version)


class RestrictDefaultSecurityGroup(Substitute):
    """Removes the rules of a VPC's default security group; the handler needs Node.js."""

    type = "Custom::VpcRestrictDefaultSG"

    def apply(self, p):
        ec2, group = self.client("ec2"), p["DefaultSecurityGroupId"]
        found = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
        for name, direction in (("IpPermissions", "ingress"), ("IpPermissionsEgress", "egress")):
            if found[name]:
                revoke = getattr(ec2, f"revoke_security_group_{direction}")
                revoke(GroupId=group, IpPermissions=found[name])


def run(account: Account, function, event: dict, seconds: float | None = None) -> tuple[str, bool, str]:
    """Run a function's code; return its response, whether it failed, and its output."""
    if not function.run_time.startswith("python"):
        raise Unsupported(f"{function.function_name}: the runtime must be Python, got {function.run_time}")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as archive:
            archive.extractall(folder)
        session = f"{function.function_name}-run"[-64:]
        role = account.client("sts").assume_role(RoleArn=function.role, RoleSessionName=session)["Credentials"]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "AWS_ENDPOINT_URL": account.url,
            "AWS_ACCESS_KEY_ID": role["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": role["SecretAccessKey"],
            "AWS_SESSION_TOKEN": role["SessionToken"],
            "AWS_REGION": account.region,
            "AWS_DEFAULT_REGION": account.region,
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "EMULATED_ARN": function.function_arn,
            "EMULATED_HANDLER": function.handler,
            "EMULATED_SECONDS": str(seconds or function.timeout),
            **(function.environment_vars or {}),
        }
        done = subprocess.run(
            [sys.executable, str(RUNTIME), folder],
            input=json.dumps(event),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    logs = done.stdout + done.stderr
    answer, _, printed = logs.partition("\n") if done.returncode == 0 else (logs, "", logs)
    return answer, done.returncode != 0, printed
