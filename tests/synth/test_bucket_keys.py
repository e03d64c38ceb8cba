"""Encryption of buckets with encryption_key=."""

from __future__ import annotations

import pytest
from aws_cdk import App, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms

from cdk_airflow_ecs import EcsExecutor, S3Dags
from synthesis import add_cluster, references, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")


def encryption(template: dict) -> dict[str, dict]:
    """Return the default encryption of each bucket."""
    found = {}
    for name, bucket in resources(template, "AWS::S3::Bucket").items():
        (rule,) = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        found[next(part for part in ("AccessLogs", "Tasks", "Dags") if part in name)] = rule
    return found


def with_key(**arguments) -> dict:
    """Return the template of a cluster with encryption_key=."""

    def build(app: App) -> None:
        stack = Stack(app, "Data")
        add_cluster(stack, encryption_key=kms.Key(stack, "Key"), **arguments)

    return synthesize(build).templates["Data"]


def test_without_encryption_key_buckets_use_no_kms_key():
    """The key that the cluster creates encrypts no bucket, because uploading DAGs would require rights to it."""
    default = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert encryption(template_of()) == {"AccessLogs": default, "Tasks": default, "Dags": default}


def test_encryption_key_encrypts_dags_and_logs_but_not_access_logs():
    """The key encrypts DAGs and task logs, but not access logs: load balancers could not write them."""
    found = encryption(with_key())
    assert found.pop("AccessLogs") == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    for rule in found.values():
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert references(rule) == {next(iter(references(rule)))}
        assert next(iter(references(rule))).startswith("Key")
        assert rule["BucketKeyEnabled"] is True
    assert found.keys() == {"Tasks", "Dags"}


@pytest.mark.parametrize("executor", [None, EcsExecutor()])
def test_readers_of_a_bucket_may_decrypt_and_writers_may_create_data_keys(executor):
    """Roles that read a bucket may decrypt, and those that write may create data keys."""
    template = with_key(executor=executor)
    for name, policy in resources(template, "AWS::IAM::Policy").items():
        if "TaskRole" not in name:
            continue
        pairs = [
            (action, statement)
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            for action in (statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]])
        ]
        actions = {action for action, _ in pairs}
        keyed = {action for action, statement in pairs if any(ref.startswith("Key") for ref in references(statement))}
        assert ("kms:Decrypt" in keyed) == ("s3:GetObject" in actions), name
        assert ("kms:GenerateDataKey" in keyed) == ("s3:PutObject" in actions), name


def test_encryption_key_replaces_no_bucket():
    """With encryption_key=, the logical ids of buckets do not change."""
    before, after = (set(resources(template, "AWS::S3::Bucket")) for template in (template_of(), with_key()))
    assert before == after


def test_the_function_that_uploads_dags_may_use_the_key(tmp_path):
    """The function that uploads DAGs may use the key."""
    (tmp_path / "dag.py").write_text("")
    template = with_key(dags=S3Dags(tmp_path), removal_policy=RemovalPolicy.DESTROY)
    (name,) = (name for name in resources(template, "AWS::IAM::Policy") if "UploadRole" in name)
    statements = resources(template, "AWS::IAM::Policy")[name]["Properties"]["PolicyDocument"]["Statement"]
    keyed = [each for each in statements if any(ref.startswith("Key") for ref in references(each))]
    assert "kms:GenerateDataKey*" in str(keyed)
