"""Run the quickstart's template on this machine, use it, and stop it, without Docker and an AWS account."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ASSEMBLY = Path(os.environ.get("CDK_OUTDIR", HERE / "quickstart" / "cdk.out"))
DAGS = HERE / "quickstart" / "dags"
# The package in this checkout; with an installed package the command is `airflow-ecs`.
COMMAND = [sys.executable, "-m", "cdk_airflow_ecs.cli", "local"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parent / "src")}


def main() -> None:
    """Start the cluster, run a DAG and read its log through the public REST API, stop it, and print the times."""
    state = Path(tempfile.mkdtemp(prefix="airflow-ecs-demo-", dir="/tmp"))
    timings: dict[str, float] = {}
    try:
        with timed(timings, "every component is ready"):
            up = command("up", str(ASSEMBLY), "--dags", str(DAGS), "--detach", "--state", str(state))
        url = re.findall(r"http://127\.0\.0\.1:\d+", up)[-1]
        api = Api(url, command("password", "--state", str(state), secret=True).strip())
        with timed(timings, "the DAG hello is known"):
            until(lambda: api.request("GET", "dags/hello"), 300)
        with timed(timings, "its run has succeeded"):
            run = api.request("POST", "dags/hello/dagRuns", {"logical_date": None})
            where = f"dags/hello/dagRuns/{run['dag_run_id']}"
            print(f"\nTriggered {where} at {url}/api/v2")
            ended = until(lambda: (found := api.request("GET", where))["state"] in ("success", "failed") and found, 300)
            print(f"It ended in {ended['state']}.")
            if ended["state"] != "success":
                sys.exit(1)
        with timed(timings, "its task's log is read"):
            log = f"{where}/taskInstances/greet/logs/1"  # available seconds after the task has ended
            printed = until(lambda: [line for line in lines(api.request("GET", log)) if line.startswith("Hello")], 60)
            print(f"Task greet printed: {printed[0]}")
    finally:
        with timed(timings, "everything is stopped"):
            command("down", "--state", str(state))
        shutil.rmtree(state)
    table = Table("step", "seconds", box=None, pad_edge=False, title="Timings", title_justify="left")
    for step, seconds in {**timings, "together": sum(timings.values())}.items():
        table.add_row(step, f"{seconds:6.1f}")
    print()
    Console().print(table)
    print("\nTo keep it running: pip install '.[local]' and, in examples/quickstart, airflow-ecs local up")


def command(*words: str, secret: bool = False) -> str:
    """Run `airflow-ecs local`, print its output unless it is secret, and return it."""
    print(f"\n$ airflow-ecs local {' '.join(words)}", flush=True)
    with subprocess.Popen([*COMMAND, *words], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        printed = []
        for line in process.stdout or ():
            printed.append(line)
            print("(not shown here)" if secret else line.rstrip(), flush=True)
    if process.returncode:
        sys.exit(f"airflow-ecs local {words[0]} ended with {process.returncode}")
    return "".join(printed)


class Api:
    """Airflow's public REST API, version 2.

    Args:
        url: that of the load balancer.
        password: that of the user admin.
    """

    def __init__(self, url: str, password: str) -> None:
        self._url = url
        self._headers = {"Content-Type": "application/json"}
        token = self._send("POST", "auth/token", {"username": "admin", "password": password})["access_token"]
        self._headers["Authorization"] = f"Bearer {token}"

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request; return the response, or None for 404."""
        return self._send(method, f"api/v2/{path}", body)

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}/{path}", data, self._headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None


def lines(log: dict[str, Any]) -> Iterator[str]:
    """Yield the output of a task without Airflow's messages."""
    return (entry["event"] for entry in log["content"])


def until(question: Callable[[], Any], seconds: float) -> Any:
    """Repeat a call until it returns a true value, and return it."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > end:
            sys.exit(f"no result within {seconds:.0f} s")
        time.sleep(0.5)
    return answer


@contextmanager
def timed(timings: dict[str, float], step: str) -> Iterator[None]:
    """Record the duration of a step."""
    began = time.perf_counter()
    yield
    timings[step] = time.perf_counter() - began


if __name__ == "__main__":
    main()
