"""DAG files change while Airflow 3 starts tasks in one container."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from containers import REPOSITORY, Machine
from test_generated import RELEASES, eventually, listens

from cdk_airflow_ecs import S3Dags
from cdk_airflow_ecs.testing import plan_of
from servers import free_port

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """Start moto's S3."""
    port = free_port()
    moto = [REPOSITORY / ".venvs/local/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(moto, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: listens(port), 120)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def files(version: int, gate: Path) -> dict[str, str]:
    """Return a DAG file and its modules as of *version*; the import of version 1 waits until the file *gate* exists."""
    module = f"VERSION = {version}{' ' * version}\n"
    wait = f"import pathlib, time\npathlib.Path('{gate}.reached').touch()\nwhile not pathlib.Path('{gate}').exists():\n"
    seen = f"[{version}, before.VERSION, after.VERSION]"
    return {
        "dag.py": f"from airflow.sdk import DAG, BaseOperator\nfrom team import before, middle, after\n"
        f"with DAG('coupled', schedule=None, params={{'seen': {seen}}}):\n    BaseOperator(task_id='task')\n",
        "team/__init__.py": "",
        "team/middle.py": f"{wait}    time.sleep(0.05)\n" if version == 1 else "",
        **{f"team/{name}.py": module for name in ("before", "after", "later")},
    }


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("dags", "first"),
    [
        pytest.param(S3Dags(), ([1, 1, 1], 1), id="own"),
        # The amazon provider's DAG bundle overwrites files in use (docs/guides/dags/deliver-dags.md).
        pytest.param(S3Dags(provider_bundle=True), ([1, 1, 2], 2), id="provider's"),
    ],
)
def test_a_starting_task_imports_only_one_version_of_the_dag_files(
    dags: S3Dags, first: tuple[list[int], int], aws: str, tmp_path: Path
):
    """A starting task imports only the old version; with the amazon provider's bundle, it mixes both versions."""
    version = RELEASES[0]
    bucket = f"dags-{tmp_path.name.replace('_', '-')}"[:40].strip("-").lower()
    s3 = boto3.client("s3", endpoint_url=aws, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    s3.create_bucket(Bucket=bucket)
    gate, reached = tmp_path / "gate", tmp_path / "gate.reached"

    def upload(number: int) -> None:
        for key, text in files(number, gate).items():
            s3.put_object(Bucket=bucket, Key=key, Body=text.encode())

    upload(1)
    (worker,) = plan_of(version=version, dags=dags).component("Pools/default").containers
    attributes = defaultdict(lambda: "x", {("Dags", "bucket_name"): bucket, ("Logs", "uri"): "s3://logs"})
    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "x")
    substitutes = {"AWS_ENDPOINT_URL": aws, "AWS_DEFAULT_REGION": "us-east-1", "TMPDIR": str(tmp_path), **keys}
    machine = Machine(REPOSITORY / f".venvs/airflow-{version}/bin", tmp_path, attributes, attributes, substitutes)
    command = [*map(machine.text, worker.prefix), "python", str(HERE / "start_probe.py")]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            command, env=machine.environment(worker), stdin=-1, stdout=-1, stderr=log, text=True, bufsize=1
        ) as process,
    ):
        try:
            process.stdin.write("first\n")
            eventually(lambda: reached.exists() or process.poll() is not None, 120)
            upload(2)
            process.stdin.write("second\n")
            results = (
                json.loads(line) for line in process.stdout if line.startswith("{")
            )  # skip lines that Airflow prints
            answer = next(results)
            assert (answer["name"], answer["seen"], answer["later"]) == ("second", [2, 2, 2], 2)
            gate.touch()
            answer = next(results)
            assert (answer["name"], answer["seen"], answer["later"]) == ("first", *first)
        finally:
            process.kill()
