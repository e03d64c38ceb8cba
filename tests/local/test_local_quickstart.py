"""Runs the quickstart's template with real Airflow on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path
from tempfile import mkdtemp

import pytest
from cluster import END_TO_END, REPOSITORY, Cluster, eventually, marked, remove, send
from places import why_not_isolated
from secrets_scan import Scan, logs_of
from stranger import ask_as_another_user

pytestmark = END_TO_END

COMPONENTS = {"ApiServer", "Scheduler", "DagProcessor", "Triggerer", "default"}
LISTED = "import os, sys; print(os.listdir(sys.argv[1]))"
CHANGED = """
from datetime import datetime
from airflow.sdk import DAG

with DAG("{name}", start_date=datetime(2024, 1, 1), schedule=None):
    pass
"""


@pytest.fixture(scope="module")
def folder():
    """Create a folder with a short name and remove it afterwards."""
    made = Path(mkdtemp(prefix="local-", dir="/tmp"))
    yield made
    remove(made)


@pytest.fixture(scope="module")
def scan(folder):
    """Scan for secrets, from before the start of the cluster."""
    with Scan(folder / "state") as running:
        yield running


@pytest.fixture(scope="module")
def cluster(folder, scan):
    """Run the quickstart, and check that no process remains at the end."""
    with Cluster(folder, str(REPOSITORY / "examples" / "quickstart" / "app.py")) as running:
        yield running
    assert marked(running.state) == []


def test_every_component_of_the_quickstart_is_healthy(cluster):
    """Each service runs its desired count of healthy tasks."""
    rows = cluster.rows()
    assert {row[0] for row in rows} == COMPONENTS
    assert {tuple(row[1:4]) for row in rows} == {("1", "1", "healthy")}


def test_a_dag_runs_on_the_local_quickstart(cluster):
    """A DAG triggered by the REST API succeeds, and the API returns its log."""
    run = cluster.trigger("conversation")
    assert cluster.finish(run) == "success"
    assert "the question 4711" in cluster.log(run, "ask", "4711")


def test_a_new_file_in_the_dag_folder_becomes_a_dag(cluster):
    """A file that is added to the DAG folder becomes a DAG."""
    (cluster.dags / "later.py").write_text(CHANGED.format(name="later"))
    eventually(lambda: cluster.call("dags/later")[0] == 200, 90)


def test_the_load_balancer_does_not_serve_the_execution_api(cluster):
    """The load balancer does not forward requests to the execution API."""
    assert send(f"{cluster.url}/execution/health") == (404, "Not found")
    assert send(f"{cluster.url}/api/v2/version")[0] == 200


def test_no_secret_of_the_quickstart_is_readable(cluster, scan):
    """No secret is in a log, a command line, or a file that others can read."""
    for kind, name, text in [*logs_of(cluster.state), ("output of the command", "up", cluster.started)]:
        scan.add(kind, name, text)
    assert scan.findings() == []
    assert scan.looked_at["secrets"] >= 6
    assert cluster.state.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_requests_of_another_user_of_the_machine_are_refused(cluster):
    """Every request of another user to the AWS API is refused, and none reaches a task."""
    run, key = (json.loads((cluster.state / f"{name}.json").read_text()) for name in ("run", "key"))
    urls = {run["api"], run["task_api"]}
    lines = ask_as_another_user(key["id"], urls)
    assert len(lines) == 18 * len(urls)
    assert {line.partition(" ")[0] for line in lines} == ({"403"} if len(urls) == 1 else {"403", "none"})
    words = [shutil.which("python3", path="/usr/bin:/usr/local/bin"), "-I", "-c", LISTED, str(cluster.state)]
    done = subprocess.run(words, user="nobody", group="nogroup", capture_output=True, text=True, check=False, cwd="/")
    assert "PermissionError" in done.stderr


@pytest.mark.skipif(bool(why_not_isolated()), reason="needs network namespaces")
def test_programs_of_this_machine_reach_no_task(cluster):
    """Programs of this machine cannot reach the API server, which listens only in the tasks' network."""
    (address,) = (row[4] for row in cluster.rows() if row[0] == "ApiServer")
    try:
        with urllib.request.urlopen(f"http://{address}:8080/api/v2/version", timeout=5) as answer:
            found = answer.read().decode()
    except OSError:
        found = ""
    assert "3.3.2" not in found


def test_update_service_scales_a_component_out_and_in(cluster):
    """UpdateService adds a task to a component and removes it."""
    for count in (2, 1):
        assert cluster.run("scale", "default", str(count)).returncode == 0
        eventually(lambda n=count: [r[3] for r in cluster.rows() if r[0] == "default"] == ["healthy"] * n, 90)


def test_a_second_run_on_the_same_state_directory_is_refused(cluster):
    """A second run on a state directory is refused with the pid of the first."""
    again = cluster.run("up", str(cluster.folder / "cdk.out"))
    assert again.returncode == 1
    assert "a cluster already runs on" in again.stderr
    assert len(cluster.rows()) == len(COMPONENTS)


def test_users_dag_runs_and_logs_survive_a_killed_run(cluster):
    """After `kill -9`, `down` cleans up, and the next `up` has the same users, DAG runs and logs."""
    run = cluster.trigger("conversation")
    assert cluster.finish(run) == "success"
    before = cluster.run("password").stdout
    cluster.__exit__()
    assert marked(cluster.state) == []
    with cluster:
        assert cluster.run("password").stdout == before
        assert cluster.call(run)[1]["state"] == "success"
        assert "4711" in cluster.log(run, "ask", "4711")
        pid = json.loads((cluster.state / "run.json").read_text())["pid"]
        subprocess.run(["kill", "-9", str(pid)], check=True)
        assert cluster.run("down").stdout.startswith("Stopped.")
        assert marked(cluster.state) == []
