"""Reads the output of `cdk synth`: templates and their assets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdk_airflow_ecs.local.images.image import ImageBuild
from cdk_airflow_ecs.local.refusal import Refusal

_SUFFIX = ".template.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAsset:
    """A file or folder to upload; *bucket* contains `${AWS::…}` placeholders."""

    path: Path
    zipped: bool
    bucket: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAsset:
    """An image that `cdk deploy` would build; *unsupported*: build options that have no local equivalent."""

    build: ImageBuild
    tag: str
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFile:
    """A stack and its assets."""

    name: str
    template: dict[str, Any]
    region: str | None
    files: tuple[FileAsset, ...]
    images: tuple[ImageAsset, ...]


def read(path: Path) -> tuple[StackFile, ...]:
    """Return the stacks of a template or assembly, in deployment order."""
    if path.is_file():
        if not path.name.endswith(".json"):
            raise Refusal(f"{path} must be an output folder of `cdk synth`, or a *{_SUFFIX} in one")
        return (_stack(path, path.name.removesuffix(".json").removesuffix(".template"), None),)
    manifest = path / "manifest.json"
    if not manifest.is_file():
        raise Refusal(f'{path} is not a cloud assembly. Run `cdk synth` first, or pass --app "python app.py"')
    found = tuple(_stacks(path))
    if not found:
        raise Refusal(f"{path} does not contain a stack")
    return found


def _stacks(folder: Path) -> Iterator[StackFile]:
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    done: set[str] = set()

    def visit(name: str) -> Iterator[StackFile]:
        if name in done or name not in artifacts:
            return
        done.add(name)
        artifact = artifacts[name]
        for other in artifact.get("dependencies", []):
            yield from visit(other)
        properties = artifact.get("properties", {})
        if artifact["type"] == "aws:cloudformation:stack":
            region = artifact["environment"].rpartition("/")[2]
            stack = properties.get("stackName", name)
            yield _stack(folder / properties["templateFile"], stack, None if region == "unknown-region" else region)
        if artifact["type"] == "cdk:cloud-assembly":
            yield from _stacks(folder / properties["directoryName"])

    for name in artifacts:
        yield from visit(name)


def _stack(path: Path, name: str, region: str | None) -> StackFile:
    try:
        template = json.loads(path.read_text())
    except ValueError as error:
        raise Refusal(f"{path} is not JSON: {error}") from error
    if not isinstance(template, dict) or "Resources" not in template:
        raise Refusal(f"{path} is not a CloudFormation template: it has no Resources")
    listed = path.with_name(path.name.removesuffix(_SUFFIX) + ".assets.json")
    assets = json.loads(listed.read_text()) if listed.is_file() and listed != path else {}
    return StackFile(
        name=name,
        template=template,
        region=region,
        files=tuple(
            FileAsset(
                path=path.parent / asset["source"]["path"],
                zipped=asset["source"].get("packaging") == "zip",
                bucket=destination["bucketName"],
                key=destination["objectKey"],
            )
            for asset in assets.get("files", {}).values()
            for destination in asset["destinations"].values()
        ),
        images=tuple(
            _image(path.parent, asset["source"], destination["imageTag"])
            for asset in assets.get("dockerImages", {}).values()
            for destination in asset["destinations"].values()
        ),
    )


# Build options that are ignored, because the local runner does not build images.
_WITHOUT_EFFECT = {"dockerBuildSecrets", "dockerBuildSsh", "networkMode", "cacheFrom", "cacheTo", "cacheDisabled"}
_DONE = {"directory", "dockerFile", "dockerBuildArgs", "dockerBuildTarget", "platform"}


def _image(folder: Path, source: dict[str, Any], tag: str) -> ImageAsset:
    return ImageAsset(
        build=ImageBuild(
            folder=folder / source.get("directory", ""),
            file=source.get("dockerFile") or "Dockerfile",
            arguments=source.get("dockerBuildArgs") or {},
            target=source.get("dockerBuildTarget") or "",
            platform=source.get("platform") or "linux/amd64",
        ),
        tag=tag,
        unsupported=tuple(
            sorted(name for name, value in source.items() if value and name not in _DONE | _WITHOUT_EFFECT)
        ),
    )
