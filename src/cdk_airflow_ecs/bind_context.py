"""Where resources are made: what a cluster resource is built on."""

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
    """What a cluster resource is built on.

    Args:
        stack: the stack of the cluster.
        network: VPC and subnets.
        key: encrypts what the cluster stores.
        bucket_key: encrypts buckets, if the user gave the key; None for keys of S3's own.
        removal_policy: what happens to data when the store leaves the stack; None leaves each kind its safe default.
        access_logs: the bucket that receives access logs of other buckets.
        namespace: the name of the cluster's private DNS zone.
    """

    stack: StackFacts
    network: Network
    key: kms.IKey
    bucket_key: kms.IKey | None = None
    access_logs: AccessLogs
    removal_policy: RemovalPolicy | None
    namespace: str
