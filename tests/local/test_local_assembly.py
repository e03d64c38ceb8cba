"""The local runner reads cloud assemblies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cdk_airflow_ecs.local.assembly import ImageAsset, read
from cdk_airflow_ecs.local.images.image import ImageBuild
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.substitutions import SUBSTITUTIONS


def write(folder: Path, **stacks: list[str]) -> None:
    """Write an assembly of stacks and their dependencies."""
    artifacts = {}
    for name, others in stacks.items():
        (folder / f"{name}.template.json").write_text(json.dumps({"Resources": {}}))
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": "aws://123/eu-north-1" if name == "B" else "aws://unknown-account/unknown-region",
            "properties": {"templateFile": f"{name}.template.json"},
            "dependencies": others,
        }
    assets = {
        "files": {
            "1": {
                "source": {"path": "asset.1", "packaging": "zip"},
                "destinations": {"here": {"bucketName": "b-${AWS::Region}", "objectKey": "1.zip"}},
            }
        },
        "dockerImages": {
            "2": {"source": {"directory": "asset.2"}, "destinations": {"here": {"imageTag": "t"}}},
            "3": {
                "source": {
                    "directory": "asset.3",
                    "dockerFile": "docker/Dockerfile",
                    "dockerBuildArgs": {"AIRFLOW_VERSION": "3.3.2"},
                    "dockerBuildTarget": "final",
                    "platform": "linux/arm64",
                    "dockerBuildSecrets": {"index": "src=login"},
                    "dockerBuildContexts": {"other": "../other"},
                },
                "destinations": {"here": {"imageTag": "u"}},
            },
        },
    }
    (folder / "A.assets.json").write_text(json.dumps(assets))
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))


def test_stacks_are_in_the_order_of_their_dependencies(tmp_path):
    """Stacks are in the order of their dependencies, each with its region and files."""
    write(tmp_path, A=["B"], B=[])
    first, second = read(tmp_path)
    assert [(stack.name, stack.region) for stack in (first, second)] == [("B", "eu-north-1"), ("A", None)]
    (file,), (image, other) = second.files, second.images
    assert (file.path, file.zipped, file.bucket, file.key) == (tmp_path / "asset.1", True, "b-${AWS::Region}", "1.zip")
    assert image == ImageAsset(build=ImageBuild(folder=tmp_path / "asset.2"), tag="t")
    assert other.build == ImageBuild(
        folder=tmp_path / "asset.3",
        file="docker/Dockerfile",
        arguments={"AIRFLOW_VERSION": "3.3.2"},
        target="final",
        platform="linux/arm64",
    )
    assert other.unsupported == ("dockerBuildContexts",)


def test_a_template_without_a_manifest_is_read_as_a_stack(tmp_path):
    """A template without manifest is read as a stack, with the assets beside it."""
    write(tmp_path, A=[])
    (stack,) = read(tmp_path / "A.template.json")
    assert (stack.name, len(stack.files)) == ("A", 1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.yaml", "a: b", "output folder of `cdk synth`"),
        ("x.json", "{", "is not JSON"),
        ("x.json", "[]", "it has no Resources"),
    ],
)
def test_an_invalid_template_is_refused(tmp_path, name, text, message):
    """An invalid template is refused with its file name and the error."""
    (tmp_path / name).write_text(text)
    with pytest.raises(Refusal, match=message):
        read(tmp_path / name)


def test_a_folder_without_a_cloud_assembly_is_refused(tmp_path):
    """A folder without a cloud assembly is refused with a remedy."""
    with pytest.raises(Refusal, match="Run `cdk synth` first"):
        read(tmp_path)


def test_documented_differences_from_aws_have_unique_names():
    """Each difference from AWS that `--explain` lists has a unique name and all four texts."""
    names = [each.name for each in SUBSTITUTIONS]
    assert len(set(names)) == len(names)
    assert all(each.says and each.here and each.why for each in SUBSTITUTIONS)
    for service in ("EFS", "RDS", "ElastiCache", "ElasticLoadBalancing", "NAT"):
        assert [service in each.says for each in SUBSTITUTIONS].count(True) == 1, service
