"""The context in which cluster resources are created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import RemovalPolicy
    from aws_cdk import aws_kms as kms

    from cdk_airflow_ecs.access_logs import AccessLogs
    from cdk_airflow_ecs.network import Network
    from cdk_airflow_ecs.stack_facts import StackFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class BindContext:
    """The shared parts of a cluster that its resources use.

    Args:
        key: the KMS key for all data except buckets.
        bucket_key: the user's KMS key for buckets; None for S3-managed keys.
        access_logs: the bucket for access logs.
        removal_policy: the removal policy; None keeps data.
        namespace: the name of the private DNS zone.
    """

    stack: StackFacts
    network: Network
    key: kms.IKey
    bucket_key: kms.IKey | None = None
    access_logs: AccessLogs
    removal_policy: RemovalPolicy | None
    namespace: str
