"""CDK's own custom resource providers, one per stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Stack

if TYPE_CHECKING:
    from aws_cdk import CfnResource
    from constructs import IConstruct


def quieten_provider(scope: IConstruct, resource_type: str) -> None:
    """Remove a redundant dependency of the provider's function (cfn-lint W3005), if the stack has the provider.

    Args:
        scope: a construct of the stack.
        resource_type: the type of the custom resource, such as "Custom::S3AutoDeleteObjects".
    """
    provider = Stack.of(scope).node.try_find_child(f"{resource_type}CustomResourceProvider")
    if provider is not None:
        cast("CfnResource", provider.node.find_child("Handler")).add_deletion_override("DependsOn")
