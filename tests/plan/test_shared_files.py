"""Files that are uploaded in an image or to a bucket."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cdk_airflow_ecs import AirflowImage, S3Dags

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n"
# Functions that upload a folder of DAGs, one in an image and one to a bucket.
WAYS: dict[str, Callable[[Path], object]] = {
    "S3Dags": lambda folder: S3Dags(folder / "dags"),
    "AirflowImage.build": AirflowImage.build,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Create a directory with one DAG."""
    (tmp_path / "airflow/dags").mkdir(parents=True)
    (tmp_path / "airflow/dags/report.py").write_text("")
    return tmp_path / "airflow"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("path", "text"),
    [
        *((name, "A=1") for name in (".env", ".env.prod", ".ENV", ".netrc", ".pgpass", "sub/.envrc")),
        *((name, "x") for name in (".aws/credentials", ".ssh/config", ".kube/config", ".docker/config.json")),
        *(
            (name, "x")
            for name in ("id_rsa", "id_ed25519", "id_ecdsa_sk", "server.key", "store.p12", "tls.pem", "a.PEM")
        ),
        *((name, "x") for name in ("credentials.json", "client_secret_1.apps.googleusercontent.com.json", ".npmrc")),
        *((name, "x") for name in (".vault-token", "prod.env", "kubeconfig", "dev.kubeconfig", ".dockerconfigjson")),
        *((name, KEY) for name in ("deploy_key", "keys.txt", "both.pem")),
        ("google.json", '{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\\nAAAA"}'),
    ],
)
def test_secret_files_are_not_uploaded(folder: Path, way: str, path: str, text: str):
    """Files with credentials and private keys raise an error."""
    file = folder / "dags" / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    with pytest.raises(ValueError, match=rf"^{way}: .* looks like a secret, and everyone who may .* could read it"):
        WAYS[way](folder)


@pytest.mark.parametrize("way", WAYS)
def test_files_that_only_resemble_secrets_are_uploaded(folder: Path, way: str):
    """Certificates, public keys and templates are uploaded."""
    files = {"ca.pem": CERTIFICATE, "id_rsa.pub": "ssh-rsa A", ".env.example": "A=", "keys.py": f"HEAD = {KEY!r}"}
    files |= {"example.env": "A=", "credentials.py": "", "kubeconfig.py": ""}
    for name, text in files.items():
        (folder / "dags" / name).write_text(text)
    WAYS[way](folder)


@pytest.mark.parametrize("way", WAYS)
def test_ignored_folders_may_contain_secrets(folder: Path, way: str):
    """Files in ignored folders are not checked for secrets."""
    for name in (".git", ".venv", "__pycache__"):
        (folder / "dags" / name).mkdir()
        (folder / "dags" / name / "id_rsa").write_text(KEY)
    WAYS[way](folder)


@pytest.mark.parametrize("way", WAYS)
def test_only_symbolic_links_within_the_uploaded_folder_are_followed(folder: Path, way: str):
    """Symbolic links to other folders raise an error."""
    (folder / "dags/sub").mkdir()
    os.symlink("../report.py", folder / "dags/sub/again.py")
    WAYS[way](folder)
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "b.py").write_text("")
    for name, target in {"b.py": outside / "b.py", "shared": outside}.items():
        os.symlink(target, folder / "dags" / name)
        with pytest.raises(
            ValueError, match=rf"^{way}: .*dags/{name} is a link to {target}, outside .*Copy its target"
        ):
            WAYS[way](folder)
        (folder / "dags" / name).unlink()
