"""Images that CDK builds: assets and their hashes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ecr as ecr

from cdk_airflow_ecs import AirflowImage, AirflowVersion, CeleryExecutor, ImageDags, WorkerPool
from synthesis import EXAMPLES, REPOSITORY, Assembly, add_cluster, resources, strings, synthesize

pytestmark = pytest.mark.xdist_group("synth")

FOLDER = REPOSITORY / "examples" / "custom-image" / "airflow"


def cluster(**arguments) -> Assembly:
    """Synthesize a cluster with these arguments."""
    return synthesize(lambda app: add_cluster(Stack(app, "Data"), **arguments), nag=True)


def images(assembly: Assembly) -> dict:
    """Return the Docker images in the asset manifest, by hash."""
    return json.loads((assembly.folder / "Data.assets.json").read_text())["dockerImages"]


def hash_of(folder: Path, **arguments) -> str:
    """Return the hash of the image that is built from *folder*."""
    image = AirflowImage.build(folder, **arguments)
    (found,) = images(cluster(image=image, dags=ImageDags()))
    return found


def in_tasks(assembly: Assembly) -> dict[str, str]:
    """Return the processor and image hash of each task definition."""
    found = {}
    for name, task in resources(assembly.templates["Data"], "AWS::ECS::TaskDefinition").items():
        (image,) = {strings(c["Image"])[-1].rpartition(":")[2] for c in task["Properties"]["ContainerDefinitions"]}
        found[name] = (task["Properties"]["RuntimePlatform"]["CpuArchitecture"], image)
    return found


@pytest.fixture
def copy(tmp_path):
    """Return a function that copies the example: files in this order, with this age and mode."""

    def make(name, backwards=False, age=0, mode=0o644):
        for file in sorted((f for f in FOLDER.rglob("*") if f.is_file()), reverse=backwards):
            if "__pycache__" in file.parts:
                continue
            target = tmp_path / name / file.relative_to(FOLDER)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            target.chmod(mode)
            os.utime(target, (age, age))
        return tmp_path / name

    return make


@pytest.mark.parametrize(("architecture", "platform"), [("x86_64", "linux/amd64"), ("arm64", "linux/arm64")])
def test_all_tasks_run_one_image_for_their_processor(architecture, platform):
    """All tasks run one image for their processor."""
    assembly = cluster(image=AirflowImage.build(FOLDER, architecture=architecture), dags=ImageDags())
    ((digest, asset),) = images(assembly).items()
    assert asset["source"] == {"directory": f"asset.{digest}", "platform": platform}
    (destination,) = asset["destinations"].values()
    assert destination["imageTag"] == digest
    processor = {"x86_64": "X86_64", "arm64": "ARM64"}[architecture]
    assert set(in_tasks(assembly).values()) == {(processor, digest)}


def test_worker_pools_on_another_processor_share_a_second_image():
    """Worker pools on another processor run a second image of the same files, which is built once."""
    pools = [WorkerPool("default"), *(WorkerPool(name, architecture="arm64") for name in ("small", "large"))]
    assembly = cluster(image=AirflowImage.build(FOLDER), dags=ImageDags(), executor=CeleryExecutor(pools=pools))
    by_platform = {asset["source"]["platform"]: digest for digest, asset in images(assembly).items()}
    assert len(images(assembly)) == len(by_platform) == 2
    for name, found in in_tasks(assembly).items():
        arm = name.startswith(("AirflowPoolssmall", "AirflowPoolslarge"))
        assert found == (("ARM64", by_platform["linux/arm64"]) if arm else ("X86_64", by_platform["linux/amd64"]))
    first, second = (assembly.folder / f"asset.{digest}" for digest in by_platform.values())
    assert {f.relative_to(first): f.read_bytes() for f in first.rglob("*") if f.is_file()} == {
        f.relative_to(second): f.read_bytes() for f in second.rglob("*") if f.is_file()
    }


def test_the_hash_of_an_image_depends_only_on_its_files(copy):
    """The path of the directory, and age, order and mode of the files, do not change the hash."""
    plain = hash_of(copy("a"))
    other = copy("somewhere/else/b", backwards=True, age=1_700_000_000, mode=0o755)
    assert hash_of(other) == plain
    for junk in ("plugins/__pycache__/a.pyc", "dags/.git/HEAD", "dags/report.py~", "plugins/.idea/a.xml", "README.md"):
        (other / junk).parent.mkdir(exist_ok=True)
        (other / junk).write_text("junk")
    assert hash_of(other) == plain
    (other / "airflow.cfg").write_text(
        "[core]\nparallelism = 3\n"
    )  # these options become environment variables, not part of the image
    assert hash_of(other) == plain
    seen = {plain, hash_of(other, architecture="arm64"), hash_of(other, base="slim")}
    for name in ("requirements.txt", "packages.txt", "plugins/weekdays.py", "dags/report.py", "dags/more.py"):
        with (other / name).open("a") as file:
            file.write("\nmore\n")
        seen.add(hash_of(other))
    assert len(seen) == 8


def test_a_build_starts_from_the_official_image_only_to_add_packages():
    """The official image is used as it is, unless packages or modules are added."""

    def build(app):
        stack, version = Stack(app, "Data"), AirflowVersion.V3_3
        for requirements, files in (((), {}), (("kombu>=5.6,<6",), {"broker.py": "X = 1\n"}), (("kombu>=5.6,<6",), {})):
            for _ in range(2):
                AirflowImage.official().source.container_image(
                    stack, version=version, architecture="arm64", requirements=requirements, files=files
                )

    assembly = synthesize(build)
    folders = [assembly.folder / asset["source"]["directory"] for asset in images(assembly).values()]
    found = [{str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()} for folder in folders]
    assert sorted(found, key=len) == [
        {"Dockerfile", "requirements.txt"},
        {"Dockerfile", "requirements.txt", "config/broker.py"},
    ]
    for folder in folders:
        assert (folder / "Dockerfile").read_text().startswith("FROM apache/airflow:3.3.2-python3.12\n")
        assert (folder / "requirements.txt").read_text() == "kombu>=5.6,<6\n"


def test_a_dockerfile_is_built_with_the_release_as_build_argument(tmp_path):
    """The build context is the directory without ignored files; the release is a build argument."""
    files = {
        **{"Dockerfile": "ARG AIRFLOW_VERSION\nFROM apache/airflow:${AIRFLOW_VERSION}\n", "src/app.py": "A = 1\n"},
        **{".dockerignore": "notes\n", "notes/a.md": "# A\n", "src/__pycache__/app.pyc": "", "src/.git/HEAD": "ref"},
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assembly = cluster(image=AirflowImage.build(tmp_path, entrypoint=["/start"]))
    ((digest, asset),) = images(assembly).items()
    assert asset["source"] == {
        "directory": f"asset.{digest}",
        "platform": "linux/amd64",
        "dockerBuildArgs": {"AIRFLOW_VERSION": "3.3.2"},
    }
    folder = assembly.folder / f"asset.{digest}"
    staged = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert staged == {"Dockerfile", "src/app.py", ".dockerignore"}
    tasks = resources(assembly.templates["Data"], "AWS::ECS::TaskDefinition").values()
    entrypoints = [c["EntryPoint"] for task in tasks for c in task["Properties"]["ContainerDefinitions"]]
    # The program that loads DAG files follows the entry point.
    assert {tuple(words[:3]) for words in entrypoints} == {("/start",), ("/start", "python", "-c")}


@pytest.mark.parametrize("kind", ["built", "ecr"])
def test_execution_roles_may_pull_only_from_the_repository_of_the_image(kind):
    """Therefore cdk-nag has no finding about execution roles."""

    def build(app):
        stack = Stack(app, "Data")
        repository = ecr.Repository.from_repository_name(stack, "Repository", "airflow")
        image = AirflowImage.build(FOLDER) if kind == "built" else AirflowImage.ecr(repository, "3.3.2-1")
        add_cluster(stack, image=image, dags=ImageDags())

    assembly = synthesize(build, nag=True)
    assert assembly.nag["violations"] == []
    name = "cdk-hnb659fds-container-assets-" if kind == "built" else ":repository/airflow"
    pulls = {}
    for policy in resources(assembly.templates["Data"], "AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if "ecr:BatchGetImage" in statement["Action"]:
                assert name in "".join(strings(statement["Resource"]))
                pulls |= {role["Ref"]: statement["Action"] for role in policy["Properties"]["Roles"]}
    tasks = resources(assembly.templates["Data"], "AWS::ECS::TaskDefinition").values()
    assert set(pulls) == {task["Properties"]["ExecutionRoleArn"]["Fn::GetAtt"][0] for task in tasks}
    assert {tuple(actions) for actions in pulls.values()} == {
        ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
    }


def test_an_app_with_a_built_image_synthesizes_without_docker(tmp_path):
    """The custom-image example synthesizes without Docker."""
    assert "custom-image" in EXAMPLES
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "node").symlink_to(shutil.which("node"))
    run = subprocess.run(
        [sys.executable, "app.py"],
        cwd=FOLDER.parent,
        env={"PATH": str(tmp_path / "bin"), "CDK_OUTDIR": str(tmp_path / "out"), "CDK_VALIDATION": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, shutil.which("docker", path=str(tmp_path / "bin"))) == (0, None), run.stderr
    assert len(json.loads((tmp_path / "out" / "Reports.assets.json").read_text())["dockerImages"]) == 1
