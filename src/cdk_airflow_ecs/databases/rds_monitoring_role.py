"""The role of RDS Enhanced Monitoring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import ArnFormat
from aws_cdk import aws_iam as iam

from cdk_airflow_ecs.nag import acknowledge_wildcards

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.stack_facts import StackFacts


def monitoring_role(scope: Construct, stack: StackFacts) -> iam.Role:
    """Create a role with AmazonRDSEnhancedMonitoringRole's permissions, limited to RDS's log groups."""
    group = stack.stack.format_arn(
        service="logs", resource="log-group", resource_name="RDS*", arn_format=ArnFormat.COLON_RESOURCE_NAME
    )
    streams = f"{group}:log-stream:*"
    role = iam.Role(
        scope,
        "MonitoringRole",
        assumed_by=iam.ServicePrincipal(
            "monitoring.rds.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
        ),
        inline_policies={
            "Metrics": iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(actions=["logs:CreateLogGroup", "logs:PutRetentionPolicy"], resources=[group]),
                    iam.PolicyStatement(
                        actions=[
                            "logs:CreateLogStream",
                            "logs:PutLogEvents",
                            "logs:DescribeLogStreams",
                            "logs:GetLogEvents",
                        ],
                        resources=[streams],
                    ),
                ]
            )
        },
    )
    acknowledge_wildcards(role, [group, streams], "RDS names its monitoring log group and streams itself")
    return role
