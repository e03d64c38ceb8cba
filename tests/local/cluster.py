"""Starts a cluster with `airflow-ecs local up`, and calls its API."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
INTERPRETER = REPOSITORY / ".venvs" / "local" / "bin" / "python"
END_TO_END = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.airflow,
    pytest.mark.xdist_group("airflow"),
    pytest.mark.skipif(
        not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments"
    ),
]
DAG = """
import time
from datetime import datetime
try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow.decorators import task
    from airflow import DAG

with DAG("conversation", start_date=datetime(2024, 1, 1), schedule=None, catchup=False, is_paused_upon_creation=False):

    @task
    def ask():
        print("the question 4711")
        return 42

    @task
    def answer(found):
        print("the answer", found)

    answer(ask())
"""


class Cluster(AbstractContextManager):
    """A cluster that runs inside a `with` block.

    Args:
        folder: parent of state directory, assembly and DAG folder.
        app: the CDK app.
        major: Airflow's major version.
        shared: whether all tasks share the loopback.
        words: more arguments of `airflow-ecs local up`.
        env: environment variables of the app.
    """

    def __init__(
        self, folder: Path, app: str, major: int = 3, *, shared: bool = False, words: Sequence[str] = (), **env: str
    ) -> None:
        self.folder = folder
        self.app = app
        self.major = major
        self.state = folder / "state"
        self.dags = folder / "dags"
        self.dags.mkdir()
        (self.dags / "conversation.py").write_text(DAG)
        self._env = env
        self._words = [*(["--shared"] if shared else []), *words]
        self._token = ""
        self.url = ""

    def __enter__(self) -> Cluster:
        python = REPOSITORY / ".venv" / "bin" / "python"
        started = self.run(
            "up", str(self.folder / "cdk.out"), "--app", f"{python} {self.app}", "--detach", *self._words
        )
        found = re.search(r"Ready after .*(http://127\.0\.0\.1:\d+)", started.stdout)
        if started.returncode or not found:
            self.__exit__()
            raise RuntimeError(started.stdout + started.stderr)
        self.started, self.url = started.stdout, found[1]
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        if kind:  # pytest shows the output of a failed test
            for file in sorted((self.state / "logs").glob("*.log")):
                print(f"--- {file.name}\n" + "\n".join(file.read_text(errors="replace").splitlines()[-40:]))
        self.run("down")

    def run(self, command: str, *words: str, timeout: float = 400) -> subprocess.CompletedProcess[str]:
        """Run a command of `airflow-ecs local` on this cluster."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return subprocess.run(
            [INTERPRETER, "-m", "cdk_airflow_ecs.cli", "local", command, *words, "--state", self.state],
            cwd=self.folder,
            env={**environment, "PYTHONPATH": str(REPOSITORY / "src"), "CDK_VALIDATION": "false", **self._env},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def rows(self) -> list[list[str]]:
        """Return the rows of `status`: component, desired count, running count, health, address, since."""
        lines = self.run("status").stdout.splitlines()[2:]
        return [re.split(r"\s{2,}", line.strip()) for line in lines]

    def call(self, path: str, body: dict | None = None, method: str | None = None) -> tuple[int, Any]:
        """Send a request to Airflow's public API as the generated admin."""
        if not self._token:
            password = self.run("password").stdout.strip()
            if self.major == 2:
                self._token = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
            else:
                status, made = send(f"{self.url}/auth/token", {"username": "admin", "password": password})
                assert status == 201, made
                self._token = f"Bearer {made['access_token']}"
        api = f"{self.url}/api/v{1 if self.major == 2 else 2}/{path}"
        return send(api, body, method, Authorization=self._token)

    def trigger(self, dag: str) -> str:
        """Start a run of a DAG as soon as it is listed; return the run's path in the API."""
        eventually(lambda: self.call(f"dags/{dag}")[0] == 200, 90)
        status, made = self.call(f"dags/{dag}/dagRuns", {"logical_date": None} if self.major >= 3 else {})
        assert status == 200, made
        return f"dags/{dag}/dagRuns/{made['dag_run_id']}"

    def finish(self, run: str, seconds: float = 120) -> str:
        """Wait for the end of a run and return its state."""
        return eventually(lambda: (s := self.call(run)[1]["state"]) in ("success", "failed") and s, seconds)

    def instances(self, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        status, found = self.call(f"{run}/taskInstances?limit=100")
        assert status == 200, found
        return found["task_instances"]

    def log(self, run: str, task: str, expected: str, *, number: int = 1, index: int = -1) -> str:
        """Wait until the log of a try contains *text*, and return the log."""
        path = f"{run}/taskInstances/{task}/logs/{number}?full_content=true&map_index={index}"
        end = time.monotonic() + 30
        while expected not in (text := str(self.call(path)[1])):
            assert time.monotonic() < end, f"no {expected!r} in {path}: {text}"
            time.sleep(0.5)
        return text


def send(url: str, body: dict | None = None, method: str | None = None, **headers: str) -> tuple[int, Any]:
    """Send a request; return status and body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text, status = answer.read().decode(), answer.status
    except urllib.error.HTTPError as error:
        with error:
            text, status = error.read().decode(), error.code
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def eventually(condition: Callable[[], Any], seconds: float) -> Any:
    """Call the function until it returns a true value, and return that value."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"not true after {seconds} s"
        time.sleep(0.5)
    return answer


def marked(state: Path) -> list[str]:
    """Return the command line of each process whose environment has this state directory's mark."""
    owner = state / "owner.json"
    if not owner.exists():
        return []
    mark = f"AIRFLOW_ECS_LOCAL={json.loads(owner.read_text())['id']}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def remove(folder: Path) -> None:
    """Remove a cluster's folder."""
    shutil.rmtree(folder, ignore_errors=True)
