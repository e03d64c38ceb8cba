"""Assets contain exactly the files that are to be uploaded."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import Stack

from cdk_airflow_ecs import AirflowCluster, AirflowImage, AirflowVersion, S3Dags
from synthesis import synthesize

FILES = (
    ".git/config",
    ".venv/x.py",
    "sub/__pycache__/a.pyc",
    "sub/b.pyc",
    "report.py",
    "sub/query.sql",
    ".airflowignore",
)


def test_assets_omit_ignored_files(tmp_path: Path):
    """Assets omit ignored files; images also omit credentials and keys."""
    for name in ("dags", "image"):
        for path in (*FILES, *((".env", "server.key") if name == "image" else ())):
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(path)
    (tmp_path / "image/Dockerfile").write_text("FROM apache/airflow:3.3.2\n")
    assembly = synthesize(
        lambda app: AirflowCluster(
            Stack(app, "S"),
            "A",
            version=AirflowVersion.V3_3,
            dags=S3Dags(tmp_path / "dags"),
            image=AirflowImage.build(tmp_path / "image"),
        )
    )

    expected = {"report.py", "sub/query.sql", ".airflowignore"}
    folders = [
        {str(file.relative_to(found.parent)) for file in found.parent.rglob("*") if file.is_file()}
        for found in sorted(assembly.folder.glob("asset.*/report.py"))
    ]
    assert sorted(folders, key=len) == [expected, {*expected, "Dockerfile"}]
