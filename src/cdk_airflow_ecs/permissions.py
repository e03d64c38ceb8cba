"""IAM statements for the plan's permissions and for the KMS keys of encrypted resources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from aws_cdk import aws_iam as iam

from cdk_airflow_ecs.plan import Component, Permission, Ref, SecretRef

if TYPE_CHECKING:
    from cdk_airflow_ecs.nag import Wildcards
    from cdk_airflow_ecs.render_context import RenderContext
    from cdk_airflow_ecs.stack_facts import StackFacts

# For each IAM action, the KMS actions that it also requires if a customer managed key encrypts the resource.
_KEY_ACTIONS: Final = {
    "s3:GetObject": ("kms:Decrypt",),
    "s3:PutObject": ("kms:GenerateDataKey",),
    # Source: Amazon SQS Developer Guide, "Configuring AWS KMS permissions".
    "sqs:SendMessage": ("kms:GenerateDataKey", "kms:Decrypt"),
    "sqs:ReceiveMessage": ("kms:Decrypt",),
    # The actions of aws-cdk-lib's Table.grant_read_data and grant_write_data, without wildcards (aws/aws-cdk#10010).
    "dynamodb:GetItem": ("kms:Decrypt", "kms:DescribeKey"),
    "dynamodb:PutItem": (
        *("kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
        *("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
    ),
}
# Services whose key statements have a kms:ViaService condition with the cluster's region. Buckets may be elsewhere.
_VIA_SERVICE: Final = ("sqs", "dynamodb")
_REASON = "Objects of one bucket, revisions of one family, tasks of one cluster: not known beforehand"

Statements = Sequence[tuple[Permission, iam.PolicyStatement]]


def tasks_of(stack: StackFacts) -> iam.IPrincipal:
    """Return the principal of ECS tasks in this account and region. CDK's allows all accounts (confused deputy)."""
    return iam.ServicePrincipal(
        "ecs-tasks.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": f"arn:{stack.partition}:ecs:{stack.region}:{stack.account}:*"},
        },
    )


def allow(
    role: iam.IRole, component: Component, context: RenderContext, wildcards: Wildcards, done: Statements = ()
) -> Statements:
    """Add the permissions of *component* that *done* lacks to *role*, and return all statements.

    New resources of a permission extend its statement. Resources with a wildcard are added to *wildcards*.
    """
    made: list[tuple[Permission, iam.PolicyStatement]] = []
    left = list(done)
    wild: list[str] = []
    for permission in component.permissions:
        there = next(((p, s) for p, s in left if _grows_to(p, permission)), None)
        if there is None:
            more = permission.resources
            added = statement(permission, context)
            for new in (added, *_key_statements(permission, context)):
                add_to_policy(role, new)
        else:
            left.remove(there)
            more = permission.resources[len(there[0].resources) :]
            added = there[1]
            if more:
                added.add_resources(*map(context.text, more))
        made.append((permission, added))
        wild += [text for text in map(context.text, more) if text.endswith("*")]
    if left:
        raise ValueError(f"{component.name} has lost permissions: {[permission for permission, _ in left]}")
    wildcards.add(role, wild, _REASON)
    return made


def add_to_policy(role: iam.IRole, statement: iam.PolicyStatement) -> None:
    """Add *statement* to *role*, with a single call to CDK if the role is not imported."""
    if isinstance(role, iam.Role):
        role.add_to_policy(statement)
    else:
        role.add_to_principal_policy(statement)


def secret_key_statements(component: Component, context: RenderContext) -> Iterator[iam.PolicyStatement]:
    """Yield statements that allow decryption of the component's secrets, only through Secrets Manager."""
    values = [value for container in component.containers for value in container.environment.values()]
    bound = (context.bindings[value.of].key_of(value.field) for value in values if isinstance(value, SecretRef))
    routed = context.bindings["LogRouter"].secret_keys.values() if component.kind == "service" else ()
    keys = dict.fromkeys([*bound, *routed, context.image(component).login_key])
    # In China the host name ends with ".cn".
    via = f"secretsmanager.{context.text(Ref('Stack', 'region'))}.amazonaws.com*"
    for key in keys:
        if key is not None:
            yield context.key_statements.find(key, ("kms:Decrypt",), via_service=via)


def _grows_to(before: Permission, after: Permission) -> bool:
    same = (before.actions, before.conditions) == (after.actions, after.conditions)
    return same and after.resources[: len(before.resources)] == before.resources


def statement(permission: Permission, context: RenderContext) -> iam.PolicyStatement:
    """Return the IAM statement of *permission*."""
    return iam.PolicyStatement(
        actions=list(permission.actions),
        resources=[context.text(resource) for resource in permission.resources],
        conditions={
            operator: {key: context.text(value) for key, value in tests.items()}
            for operator, tests in permission.conditions.items()
        },
    )


def _key_statements(permission: Permission, context: RenderContext) -> Iterator[iam.PolicyStatement]:
    actions = tuple(each for action in permission.actions for each in _KEY_ACTIONS.get(action, ()))
    if not actions:
        return
    service = permission.actions[0].partition(":")[0]
    via = f"{service}.{context.text(Ref('Stack', 'region'))}.amazonaws.com*"
    for store in dict.fromkeys(resource.of for resource in permission.resources if isinstance(resource, Ref)):
        key = context.bindings[store].key
        if key is not None:
            yield context.key_statements.find(key, actions, via_service=via if service in _VIA_SERVICE else "")
