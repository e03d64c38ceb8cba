"""Permissions of CloudWatch for the topic of alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from aws_cdk import aws_sns as sns

_CLOUDWATCH: Final = "cloudwatch.amazonaws.com"


def let_alarms_publish(topic: sns.ITopic, account: str) -> None:
    """Allow the alarms of *account* to publish to *topic*, and CloudWatch to use the topic's key.

    SNS's default policy already allows alarms of the topic's account. A policy replaces the default, so only a topic
    with a policy gets a statement. CDK does not change the policies of imported topics and keys. CDK removes repeated
    statements, so clusters may share a topic.
    """
    principal = iam.ServicePrincipal(_CLOUDWATCH)
    if topic.node.try_find_child("Policy") is not None:
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[principal],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": account}},
            )
        )
    if topic.master_key is not None:
        # As in AWS re:Post, "How do I configure a CloudWatch alarm with an encrypted SNS topic".
        topic.master_key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[principal], actions=["kms:Decrypt", "kms:GenerateDataKey*"], resources=["*"]
            )
        )
