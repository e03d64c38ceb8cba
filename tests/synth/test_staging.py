"""Assets are complete, readable and reproducible."""

from __future__ import annotations

import json
import shutil
from importlib import resources as package

import pytest
from aws_cdk import Stack

from cdk_airflow_ecs import AirflowImage, CeleryExecutor, S3Dags, SqsBroker
from synthesis import REPOSITORY, add_cluster, synthesize

pytestmark = pytest.mark.xdist_group("synth")

DAGS = REPOSITORY / "examples/production/dags"
CLUSTERS = {
    "gate": {},
    "SQS": {"executor": CeleryExecutor(broker=SqsBroker())},
    "built image": {"image": AirflowImage.build(REPOSITORY / "examples/custom-image/airflow"), "dags": S3Dags()},
    "uploaded DAGs": {"dags": S3Dags(DAGS)},
}


def sources(assembly):
    """Return all published files and folders except templates."""
    listed = json.loads((assembly.folder / "Data.assets.json").read_text())
    # Except the folder of CDK's own function, cdk-custom-resource…, which CDK deletes (aws/aws-cdk#31485).
    files = [asset["source"]["path"] for asset in listed["files"].values() if "custom-resource" not in str(asset)]
    images = [asset["source"]["directory"] for asset in listed.get("dockerImages", {}).values()]
    return [assembly.folder / path for path in (*files, *images) if not path.endswith(".template.json")]


@pytest.mark.parametrize("name", CLUSTERS)
def test_with_cdk_synth_no_staging_the_assets_exist_after_the_synthesis(name, tmp_path):
    """With ``cdk synth --no-staging`` the assets exist after the synthesis."""
    assembly = synthesize(
        lambda app: add_cluster(Stack(app, "Data"), **CLUSTERS[name]),
        context={"aws:cdk:disable-asset-staging": True},
        outdir=str(tmp_path / "out"),
    )
    found = sources(assembly)
    assert found
    assert [path for path in found if not path.exists()] == []
    assert all(any(path.iterdir()) for path in found if path.is_dir())


def test_lambda_can_read_its_program_from_a_private_installation(tmp_path, monkeypatch):
    """Lambda can read its program even if installed files are not world-readable."""
    installed = tmp_path / "in_lambda"
    shutil.copytree(package.files("cdk_airflow_ecs.in_lambda"), installed)
    for path in installed.rglob("*.py"):
        path.chmod(0o600)
    public = synthesize(lambda app: add_cluster(Stack(app, "Data")))
    monkeypatch.setattr("cdk_airflow_ecs.migration.gate.resources.files", lambda name: installed)
    private = synthesize(lambda app: add_cluster(Stack(app, "Data")))
    (folder,) = (path for path in sources(private) if (path / "index.py").is_file())
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"index.py": 0o644, "snapshots.py": 0o644}
    assert [path.name for path in sources(private)] == [path.name for path in sources(public)]


def test_files_beside_a_dockerfile_are_readable_in_the_image(tmp_path):
    """Docker keeps the modes of copied files, and Airflow is not root in the image."""
    folder = tmp_path / "airflow"
    (folder / "scripts").mkdir(parents=True)
    for name, mode in {"Dockerfile": 0o600, "requirements.txt": 0o600, "scripts/run": 0o700}.items():
        (folder / name).write_text("FROM apache/airflow:3.3.2\nCOPY requirements.txt /\n")
        (folder / name).chmod(mode)
    (folder / "scripts").chmod(0o700)
    (folder / "latest").symlink_to("scripts/run")
    (folder / "gone").symlink_to("absent")
    image = AirflowImage.build(folder)
    assembly = synthesize(lambda app: add_cluster(Stack(app, "Data"), image=image, dags=S3Dags()))
    (context,) = (path for path in sources(assembly) if (path / "Dockerfile").is_file())
    paths = ("requirements.txt", "scripts", "scripts/run")
    assert [oct((context / path).stat().st_mode & 0o777) for path in paths] == ["0o644", "0o755", "0o755"]
    assert (folder / "requirements.txt").stat().st_mode & 0o777 == 0o600
