"""What starting tasks see while their DAG files change, with both S3 DAG bundles.

``python benchmarks/refresh.py [SECONDS]``. Airflow 3.3.2 starts tasks in four slots (tests/airflow/start_probe.py), for
90 seconds with each bundle. Every eight seconds moto's S3 receives a new version of a DAG file and twenty modules, ten
files at a time, like ``aws s3 sync``. Each version adds one module and removes that of the previous version; importing
all of them takes a second.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from tables import table

from cdk_airflow_ecs import AirflowVersion, S3Dags

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tests/airflow")]
from containers import Machine  # noqa: E402

from servers import free_port  # noqa: E402

VERSION = AirflowVersion.of("3.3.2")
SLOTS, PERIOD, IMPORT = 4, 8, 1.0  # processes, seconds, seconds
MODULES = [f"module_{number:02}" for number in range(20)]
BUNDLES = {
    "the provider's: `S3Dags(provider_bundle=True)`": S3Dags(provider_bundle=True),
    "ours: `S3Dags()`": S3Dags(),
}
HEAD = (
    *("Bundle", "Changes", "Starts", "Imports of two versions", "Import errors", "Failed refreshes"),
    *("Another version imported later", "CPU s, s of a refresh"),
)


class Bucket:
    """A bucket with one version of DAG files at a time."""

    def __init__(self, aws: str, name: str) -> None:
        login = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
        self.client = boto3.client("s3", endpoint_url=aws, **login)
        self.name, self.version = name, 0
        self.client.create_bucket(Bucket=name)
        self.upload()

    def upload(self) -> None:
        self.version += 1
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(self._put, *zip(*sorted(self._files().items()), strict=True)))
        self.client.delete_object(Bucket=self.name, Key=f"team/only_{self.version - 1}.py")

    def follow(self, over: threading.Event) -> None:
        """Upload versions until *over* is set."""
        while not over.wait(PERIOD):
            self.upload()

    def _put(self, key: str, text: str) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=text.encode())

    def _files(self) -> dict[str, str]:
        module = f"VERSION = {self.version}{' ' * self.version}\n"
        names = [*MODULES, f"only_{self.version}"]
        slowly = f"import time\ntime.sleep({IMPORT / len(MODULES)})\n{module}"
        seen = ", ".join(f"{name}.VERSION" for name in names)
        return {
            "dag.py": f"from airflow.sdk import DAG, BaseOperator\nfrom team import {', '.join(names)}\n"
            f"with DAG('coupled', schedule=None, params={{'seen': [{self.version}, {seen}]}}):\n"
            "    BaseOperator(task_id='task')\n",
            "team/__init__.py": "",
            "team/later.py": module,
            **{f"team/{name}.py": slowly for name in MODULES},
            f"team/{names[-1]}.py": module,
        }


def starts(aws: str, name: str, dags: S3Dags, seconds: float) -> tuple[int, list[dict[str, Any]]]:
    """Start tasks while the bucket changes; return the number of changes and the result of each start."""
    with tempfile.TemporaryDirectory() as folder:
        bucket = Bucket(aws, name)
        plan = dags.plan(VERSION)
        machine = Machine(REPOSITORY, Path(folder), {("Dags", "bucket_name"): name}, {}, {})
        programs = REPOSITORY / f".venvs/airflow-{VERSION}/bin"
        environment = {
            **{"PATH": f"{programs}:/usr/bin:/bin", "HOME": folder, "AIRFLOW_HOME": folder, "TMPDIR": folder},
            **{f"AIRFLOW__{s}__{o}".upper(): machine.text(value) for (s, o), value in plan.config.items()},
            **{"AWS_ENDPOINT_URL": aws, "AWS_DEFAULT_REGION": "us-east-1"},
            **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "x"),
        }
        command = [*map(machine.text, plan.prefix), "python", str(REPOSITORY / "tests/airflow/start_probe.py")]
        results, over = [], threading.Event()
        writer = threading.Thread(target=bucket.follow, args=(over,))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, env=environment, text=True, bufsize=1, **pipes) as process:
            process.stdin.write("x\n" * SLOTS)
            end = 0.0
            for line in process.stdout:
                if not line.startswith("{"):
                    continue  # a log line of Airflow
                if not results:
                    writer.start()
                    end = time.monotonic() + seconds
                results.append(json.loads(line))
                if time.monotonic() > end:
                    process.kill()
                else:
                    process.stdin.write("x\n")
        over.set()
        writer.join()
        return bucket.version - 1, results


def row(label: str, changes: int, results: list[dict[str, Any]]) -> tuple[str, ...]:
    """Count the results as a row of the table."""
    kinds = Counter(
        "refresh" if "wall" not in start else "error" if "error" in start else str(len(set(start["seen"])))
        for start in results
    )
    later = sum("seen" in start and start["later"] not in start["seen"] for start in results)
    costs = [statistics.median(start[what] for start in results if what in start) for what in ("cpu", "wall")]
    counts = (changes, len(results), kinds["2"], kinds["error"], kinds["refresh"], later)
    return (label, *map(str, counts), f"{costs[0]:.2f}, {costs[1]:.2f}")


def main(seconds: float = 90) -> None:
    port = free_port()
    moto = [REPOSITORY / ".venvs/local/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(moto, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            time.sleep(10)
            aws = f"http://127.0.0.1:{port}"
            rows = [
                row(label, *starts(aws, f"dags-{number}", dags, seconds))
                for number, (label, dags) in enumerate(BUNDLES.items())
            ]
            print(*table(HEAD, rows), sep="\n")
        finally:
            process.kill()


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
