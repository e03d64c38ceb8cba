"""A cluster of `airflow-ecs local up`, with a client of its public REST API."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
INTERPRETER = REPOSITORY / ".venvs" / "local" / "bin" / "python"


class Cluster(AbstractContextManager):
    """A running cluster of clusters.py.

    Args:
        name: its name in clusters.py.
        folder: state and template; a short path, because a socket's path may have only 107 bytes.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.state = folder / "state"
        self._assembly = folder / "cdk.out"
        self._api = self._token = ""

    def __enter__(self) -> Cluster:
        app = f"{sys.executable} {HERE / 'clusters.py'} {self.name}"
        dags = str(HERE / "workload" / "dags")
        started = self._run("up", str(self._assembly), "--app", app, "--dags", dags, "--detach")
        found = re.search(r"Ready after .*?(http://127\.0\.0\.1:\d+)", started)
        if not found:
            self.__exit__()
            raise SystemExit(f"{self.name} did not start:\n{started}")
        self._sign_in(found[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._run("down")

    @property
    def template(self) -> dict[str, Any]:
        return json.loads((self._assembly / "Benchmark.template.json").read_text())

    def _run(self, *words: str) -> str:
        given = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        ran = subprocess.run(
            [INTERPRETER, "-m", "cdk_airflow_ecs.cli", "local", *words, "--state", self.state],
            cwd=self.state.parent,
            env={**given, "PYTHONPATH": str(REPOSITORY / "src"), "CDK_VALIDATION": "false"},
            capture_output=True,
            text=True,
            check=False,
        )
        return ran.stdout + ran.stderr

    def _sign_in(self, url: str) -> None:
        password = self._run("password").strip()
        if self.name.endswith("-2"):
            self._api, self._token = f"{url}/api/v1", f"Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}"
            return
        self._api = f"{url}/api/v2"
        token = _request(f"{url}/auth/token", {"username": "admin", "password": password})["access_token"]
        self._token = f"Bearer {token}"

    def request(self, path: str, body: dict | None = None) -> dict[str, Any]:
        """Send a request to the API."""
        return _request(f"{self._api}/{path}", body, Authorization=self._token)

    def has(self, dag: str) -> bool:
        """Return whether Airflow has loaded the DAG."""
        try:
            return bool(self.request(f"dags/{dag}"))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return False

    def run(self, dag: str, *, pace: float = 1) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Trigger a run, and return it with its task instances when it ends.

        Args:
            dag: its id.
            pace: seconds between requests.
        """
        begun = self.request(f"dags/{dag}/dagRuns", {} if self.name.endswith("-2") else {"logical_date": None})
        path = f"dags/{dag}/dagRuns/{begun['dag_run_id']}"
        while (run := self.request(path))["state"] not in ("success", "failed"):
            time.sleep(pace)
        if run["state"] != "success":
            raise SystemExit(f"{self.name}: a run of {dag} ended as {run['state']}")
        return run, self.request(f"{path}/taskInstances?limit=1000")["task_instances"]


def _request(url: str, body: dict | None = None, **headers: str) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())
