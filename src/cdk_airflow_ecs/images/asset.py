"""CDK assets of images that are built at deploy time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aws_cdk import aws_ecr_assets as assets
from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs.plan import Architecture
from cdk_airflow_ecs.staging import folder_of, make_readable
from cdk_airflow_ecs.upload_exclusions import JUNK, PRIVATE

if TYPE_CHECKING:
    from constructs import Construct


def asset_of(scope: Construct, architecture: Architecture, context: Mapping[str, bytes]) -> ecs.ContainerImage:
    """Create the asset of a build context from *files*, contents by path."""
    digest = hashlib.sha256(repr(sorted(context.items())).encode()).hexdigest()
    with folder_of(scope, context) as folder:
        return folder_asset(scope, architecture, folder, {}, digest)


def folder_asset(
    scope: Construct,
    architecture: Architecture,
    folder: Path,
    build_arguments: Mapping[str, str],
    identity: str | None = None,
) -> ecs.ContainerImage:
    """Create the asset of *folder* under *scope*, once per architecture."""
    identity = identity or hashlib.sha256(json.dumps([str(folder), dict(build_arguments)]).encode()).hexdigest()
    name = f"{architecture}-{identity[:8]}"
    asset = scope.node.try_find_child(name)
    if asset is None:
        arm = architecture == "arm64"
        asset = assets.DockerImageAsset(
            scope,
            name,
            directory=str(folder.resolve()),
            build_args=dict(build_arguments) or None,
            exclude=[f"**/{pattern}" for pattern in (*JUNK, *PRIVATE)],
            platform=assets.Platform.LINUX_ARM64 if arm else assets.Platform.LINUX_AMD64,
        )
        # COPY keeps modes, and Airflow is not root in the image.
        make_readable(asset, asset.asset_hash)
    return ecs.ContainerImage.from_docker_image_asset(asset)  # type: ignore[arg-type]  # asset is a DockerImageAsset
