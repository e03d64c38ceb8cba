"""Tests of ``make demo``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the demo once, with its own output folder and without a system Node.js on PATH."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "examples/demo.py"],
        cwd=REPOSITORY,
        env={**os.environ, "PATH": "/usr/bin:/bin", "CDK_OUTDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=900,
        check=True,
    )
    return folder, done.stdout


def test_the_demo_shows_everything_on_one_screen(demo):
    """The demo's output has all sections in fewer than 60 lines of at most 120 ASCII characters."""
    _, text = demo
    titles = [line for line in text.splitlines() if re.match(r"[A-Z]", line)]
    assert [re.split(r" \(|:", title)[0] for title in titles] == [
        "Apache Airflow 3.3.2 on Amazon ECS",
        "Components",
        "Stores",
        "Edges",
        "Resources",
        "Template",
        "Warnings",
        "What next",
    ]
    assert len(text.splitlines()) < 60
    assert max(map(len, text.splitlines())) <= 120
    assert text.isascii()


def test_the_demo_describes_the_template(demo):
    """The demo prints the template's task sizes, stores, edges, number of resources and path."""
    folder, text = demo
    template = folder / "Quickstart.template.json"
    assert f"  {template}\n" in text
    assert f"  {len(json.loads(template.read_text())['Resources'])} resources of " in text
    for words in (
        "Scheduler 1 vCPU 2 GiB 1 task scheduler secrets: Broker, Database, Fernet, Jwt",
        "Pools/default 1 vCPU 2 GiB 1 task worker secrets: Broker, Session",
        "Database PostgreSQL 17 on RDS db.t4g.small 20 GB, a standby in another zone",
        "Broker Valkey 8.0 on ElastiCache cache.t4g.micro 1 node",
        "Pools/default -> ApiServer 8081 Execution API of Airflow 3",
    ):
        assert words in re.sub(" +", " ", text)
    assert "Warnings\n  none\n" in text


@pytest.mark.slow
@pytest.mark.airflow
@pytest.mark.xdist_group("airflow")
def test_the_demo_runs_its_template(demo):
    """The demo's template runs locally: a DAG succeeds, and no process or file remains."""
    folder, _ = demo
    run = subprocess.run(
        [REPOSITORY / ".venvs/local/bin/python", "examples/demo_run.py"],
        cwd=REPOSITORY,
        env={**os.environ, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "CDK_OUTDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert "It ended in success.\nTask greet printed: Hello, world!\n" in run.stdout
    for step in ("ready", "known", "succeeded", "read", "stopped", "together"):
        assert re.search(rf"^.*{step} +\d+\.\d", run.stdout, re.MULTILINE), step
    state = re.search(r"Stopped. Data stays in (/tmp/airflow-ecs-demo-\w+)", run.stdout)[1]
    assert not Path(state).exists()
    for _ in range(60):  # wait, because killed processes take a moment to end
        left = subprocess.run(["pgrep", "-f", state], capture_output=True, text=True, check=False)
        if not left.stdout:
            break
        time.sleep(0.5)
    assert left.stdout == ""
