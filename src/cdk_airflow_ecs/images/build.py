"""Images that CDK builds when it deploys."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from aws_cdk import aws_ecr_assets as assets
from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.images.dockerfile import Recipe, dockerfile

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.images.registry import Architecture


def derived_image(
    scope: Construct,
    *,
    version: AirflowVersion,
    architecture: Architecture,
    requirements: tuple[str, ...],
    files: Mapping[str, str],
) -> ecs.ContainerImage:
    """Add Python packages and modules to the official image."""
    recipe = Recipe(version=version, requirements=requirements, folders=("config",) if files else ())
    return _image(scope, architecture, _context(recipe, files))


def _context(recipe: Recipe, files: Mapping[str, str]) -> dict[str, bytes]:
    """The files that a builder gets, by path."""
    context = {"Dockerfile": dockerfile(recipe).encode()}
    if recipe.requirements:
        context["requirements.txt"] = "".join(f"{line}\n" for line in recipe.requirements).encode()
    return context | {f"config/{name}": text.encode() for name, text in files.items()}


def _image(scope: Construct, architecture: Architecture, context: Mapping[str, bytes]) -> ecs.ContainerImage:
    """Make the asset of *context* under *scope*, once for each architecture. CDK copies the folder at once."""
    digest = hashlib.sha256(repr(sorted(context.items())).encode()).hexdigest()
    name = f"{architecture}-{digest[:8]}"
    asset = scope.node.try_find_child(name)
    if asset is None:
        platform = assets.Platform.LINUX_ARM64 if architecture == "arm64" else assets.Platform.LINUX_AMD64
        with TemporaryDirectory() as folder:
            for path, content in context.items():
                target = Path(folder, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                # Like the rest of the image; what the checkout says of modes must not matter.
                target.chmod(0o755 if path == "entrypoint.sh" else 0o644)
            asset = assets.DockerImageAsset(scope, name, directory=folder, platform=platform)
    return ecs.ContainerImage.from_docker_image_asset(asset)  # type: ignore[arg-type]  # what we made
