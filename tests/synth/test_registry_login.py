"""Credentials of a private registry work if their KMS key is in any stack."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager

from cdk_airflow_ecs import AirflowCluster, AirflowImage, AirflowVersion, EcsExecutor
from synthesis import synthesize

SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:login-AbCdEf"
KEY_ARN = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def own(app: App, stack: Stack) -> secretsmanager.ISecret:
    """Create a secret and its key in the cluster's stack."""
    del app
    return secretsmanager.Secret(stack, "Login", encryption_key=kms.Key(stack, "Key"))


def other_stack(app: App, stack: Stack) -> secretsmanager.ISecret:
    """Create a secret and its key in another stack."""
    del stack
    home = Stack(app, "Home")
    return secretsmanager.Secret(home, "Login", encryption_key=kms.Key(home, "Key"))


def imported(app: App, stack: Stack) -> secretsmanager.ISecret:
    """Import a secret and its key."""
    del app
    key = kms.Key.from_key_arn(stack, "Key", KEY_ARN)
    return secretsmanager.Secret.from_secret_attributes(
        stack, "Login", secret_complete_arn=SECRET_ARN, encryption_key=key
    )


def imported_by_part(app: App, stack: Stack) -> secretsmanager.ISecret:
    """Import a secret by an ARN without the random suffix."""
    del app
    key = kms.Key.from_key_arn(stack, "Key", KEY_ARN)
    partial = SECRET_ARN.removesuffix("-AbCdEf")
    return secretsmanager.Secret.from_secret_attributes(stack, "Login", secret_partial_arn=partial, encryption_key=key)


@pytest.mark.parametrize("make", [own, other_stack, imported, imported_by_part])
@pytest.mark.parametrize("official", [True, False])
def test_execution_roles_may_decrypt_the_registry_credentials(
    make: Callable[[App, Stack], secretsmanager.ISecret], official: bool
):
    """Roles that pull may read the secret, and use its key only through Secrets Manager."""

    def build(app: App) -> None:
        stack = Stack(app, "S")
        login = make(app, stack)
        image = (
            AirflowImage.official(credentials=login)
            if official
            else AirflowImage.registry("ghcr.io/acme/airflow:3.3.2", credentials=login)
        )
        AirflowCluster(stack, "A", version=AirflowVersion.V3_3, executor=EcsExecutor(), image=image)

    template = synthesize(build).templates["S"]["Resources"]
    tasks = [each["Properties"] for each in template.values() if each["Type"] == "AWS::ECS::TaskDefinition"]
    pulling = [
        task
        for task in tasks
        if any("RepositoryCredentials" in container for container in task["ContainerDefinitions"])
    ]
    assert len(pulling) == len(tasks) >= 5
    policies = [each["Properties"] for each in template.values() if each["Type"] == "AWS::IAM::Policy"]
    for task in pulling:
        role = task["ExecutionRoleArn"]["Fn::GetAtt"][0]
        statements = [
            statement
            for policy in policies
            if {"Ref": role} in policy["Roles"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        (parameter,) = {
            str(container["RepositoryCredentials"]["CredentialsParameter"])
            for container in task["ContainerDefinitions"]
        }
        readable = [str(each["Resource"]) for each in statements if "secretsmanager:GetSecretValue" in each["Action"]]
        assert any(parameter in each or each == f"{parameter}-??????" for each in readable), (parameter, readable)
        decrypting = [each for each in statements if each["Action"] == "kms:Decrypt"]
        keys = [str(each["Resource"]) for each in decrypting]
        assert any(KEY_ARN in key or "'Key" in key or "ExportsOutput" in key for key in keys), keys
        assert all("kms:ViaService" in str(each["Condition"]) for each in decrypting)
