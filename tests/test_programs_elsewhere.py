"""Programs for users' images and Lambda run on their oldest Python and import only available modules."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ecs_agent import FakeAgent
from synthesis import example

SOURCES = Path(__file__).parents[1] / "src/cdk_airflow_ecs"
IN_CONTAINER = sorted(path for path in (SOURCES / "in_container").rglob("*.py") if path.name != "__init__.py")
IN_LAMBDA = sorted(path for path in (SOURCES / "in_lambda").rglob("*.py") if path.name != "__init__.py")
# Modules that install_modules.py writes in the container.
INSTALLED = {"airflow_ecs_sync", "airflow_ecs_bundle"}
# Modules of the standard library that are newer than Python 3.8.
NEWER = {"graphlib", "tomllib", "zoneinfo", "annotationlib", "compression"}
FAKE_BOTO3 = """
import datetime, io
BODIES = {"team/a.py": b"one", "team/sub/b.py": b"two"}
def client(name):
    assert name == "s3"
    return S3()
class S3:
    def get_paginator(self, name):
        return self
    def paginate(self, Bucket, Prefix):
        written = datetime.datetime.fromtimestamp(0, tz=datetime.timezone.utc)
        yield {"Contents": [{"Key": key, "Size": len(body), "ETag": key, "LastModified": written}
                            for key, body in BODIES.items()]}
    def get_object(self, Bucket, Key, IfMatch):
        return {"Body": io.BytesIO(BODIES[Key])}
"""


FAKE_PSYCOPG2 = """
calls = []
def connect(url, **options):
    calls.append(url)
    if len(calls) == 2:
        raise SystemExit(0)
    return Connection()
class Connection:
    def cursor(self):
        return self
    def execute(self, statement):
        self.rows = [("default", None, "worker", 5)] if "count(*)" in statement else [("task_instance", "executor")]
    def fetchall(self):
        return self.rows
    def close(self):
        pass
"""


def floor_of(folder: str) -> tuple[int, int]:
    """Return the oldest Python version that a folder's docstring states."""
    docstring = ast.get_docstring(ast.parse((SOURCES / folder / "__init__.py").read_text())) or ""
    (major, minor) = re.search(r"^Minimum: Python (\d+)\.(\d+)", docstring, re.MULTILINE).groups()
    return int(major), int(minor)


def imported(text: str) -> set[str]:
    """Return the top-level modules that *text* imports at run time, including imports in functions."""
    found = set()
    tree = ast.parse(text)
    blocks = [each for each in ast.walk(tree) if isinstance(each, ast.If) and "TYPE_CHECKING" in ast.unparse(each.test)]
    for_checkers = {node for block in blocks for each in block.body for node in ast.walk(each)}
    for node in {*ast.walk(tree)} - for_checkers:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else str(node.module).partition(".")[0])
    return found


@pytest.fixture(scope="module")
def python38() -> str:
    """Return a Python 3.8; if there is none, tests that need it are marked as expected failures."""
    places = (shutil.which("python3.8"), *Path.home().glob(".pyenv/versions/3.8.*/bin/python"))
    for place in filter(None, places):
        if subprocess.run([place, "--version"], capture_output=True, check=False).returncode == 0:
            return str(place)
    pytest.xfail("NOT RUN: Python 3.8 is not installed")


def test_the_oldest_python_of_containers_and_lambda():
    """The oldest Python for programs in containers is 3.8; for programs in Lambda it is the template's runtime."""
    assert IN_CONTAINER
    assert IN_LAMBDA
    assert floor_of("in_container") == (3, 8)
    (template,) = example("quickstart").templates.values()
    resources = template["Resources"].values()
    own = [each["Properties"] for each in resources if each["Type"] == "AWS::Lambda::Function"]
    runtimes = {each["Runtime"] for each in own if each["Handler"] == "index.handler" and "python" in each["Runtime"]}
    assert "python{}.{}".format(*floor_of("in_lambda")) in runtimes


@pytest.mark.parametrize("path", IN_CONTAINER, ids=lambda path: path.stem)
def test_programs_for_containers_use_python_3_8_and_available_modules(path: Path):
    """Programs for containers use only syntax of Python 3.8, and modules that Airflow's images have."""
    text = path.read_text(encoding="utf-8")
    ast.parse(text, feature_version=floor_of("in_container"))
    assert imported(text) <= (sys.stdlib_module_names - NEWER) | INSTALLED | {"airflow", "boto3", "botocore"}


@pytest.mark.parametrize("path", IN_LAMBDA, ids=lambda path: path.stem)
def test_programs_for_lambda_import_only_modules_of_the_lambda_runtime(path: Path):
    """Such modules are the standard library, boto3, and those in the same folder."""
    beside = {each.stem for each in path.parent.glob("*.py")}
    assert imported(path.read_text(encoding="utf-8")) <= sys.stdlib_module_names | {"boto3", "botocore"} | beside


@pytest.mark.parametrize("text", ["match 1:\n    case 1: pass\n", "try:\n    pass\nexcept* ValueError:\n    pass\n"])
def test_syntax_newer_than_python_3_8_is_detected(text: str):
    """The syntax check fails for syntax newer than Python 3.8."""
    ast.parse(text)
    with pytest.raises(SyntaxError):
        ast.parse(text, feature_version=(3, 8))


@pytest.mark.parametrize("path", IN_CONTAINER, ids=lambda path: path.stem)
def test_programs_for_containers_load_on_python_3_8(path: Path, python38: str, tmp_path: Path):
    """Python 3.8 compiles and imports each program for containers."""
    (tmp_path / "boto3.py").write_text(FAKE_BOTO3)
    (tmp_path / "airflow_ecs_sync.py").write_text((SOURCES / "in_container/dag_sync.py").read_text())
    for module, name in (
        ("airflow/dag_processing/bundles/base", "BaseDagBundle"),
        ("airflow/providers/amazon/aws/executors/ecs/ecs_executor", "AwsEcsExecutor"),
    ):
        file = tmp_path / f"{module}.py"
        file.parent.mkdir(parents=True)
        for folder in (file.parent, *file.parent.relative_to(tmp_path).parents[:-1]):
            (tmp_path / folder / "__init__.py").write_text("")
        file.write_text(f"class {name}: pass\n")
    shutil.copy(path, tmp_path / "program.py")
    subprocess.run([python38, "-W", "error", "-c", "import program"], cwd=tmp_path, check=True)


def test_the_dag_sync_runs_on_python_3_8(python38: str, tmp_path: Path):
    """The DAG sync downloads the bucket's files on Python 3.8 and then runs the command."""
    (tmp_path / "boto3.py").write_text(FAKE_BOTO3)
    text = (SOURCES / "in_container/dag_sync.py").read_text(encoding="utf-8")
    show = (
        "import json, pathlib; print(json.dumps({p.name: p.read_text() for p in pathlib.Path('dags').rglob('*.py')}))"
    )
    done = subprocess.run(
        [python38, "-c", text, "s3://bucket/team", "dags", "60", python38, "-c", show],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {"a.py": "one", "b.py": "two"}


def test_worker_protection_runs_on_python_3_8(python38: str):
    """The worker protection runs on Python 3.8 and protects a worker with a task."""
    text = (SOURCES / "in_container/worker_protection.py").read_text(encoding="utf-8")
    worker = "import os, time; os.fork() or os.fork(); time.sleep(60)"  # a pool process and its child
    with FakeAgent() as agent:
        environment = {"PATH": "/usr/bin:/bin", **agent.environment}
        command = [python38, "-c", text, python38, "-c", worker]
        with subprocess.Popen(command, env=environment, start_new_session=True) as process:
            try:
                agent.wait_for(True)
            finally:
                os.killpg(process.pid, signal.SIGKILL)


def test_the_queue_metric_runs_on_python_3_8(python38: str, tmp_path: Path):
    """The program counts the tasks and prints the metrics of a pool on Python 3.8."""
    (tmp_path / "psycopg2.py").write_text(FAKE_PSYCOPG2)
    text = (
        (SOURCES / "in_container/queue_metric.py").read_text(encoding="utf-8").replace("INTERVAL = 30", "INTERVAL = 0")
    )
    pool = {"queues": ["default"], "executors": [None], "slots": 4, "minutes": 15}
    settings = {"namespace": "n", "metrics": ["Required", "Tasks"], "cluster": "c", "pools": {"default": pool}}
    variables = {"QUEUE_METRIC": json.dumps(settings), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://u@h/d"}
    done = subprocess.run(
        [python38, "-W", "error", "-c", text],
        cwd=tmp_path,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    (line,) = (line for line in done.stdout.splitlines() if line[0] == "{")
    assert (json.loads(line)["Required"], json.loads(line)["Tasks"]) == (2, 5)


def test_install_modules_runs_on_python_3_8(python38: str, tmp_path: Path):
    """install_modules.py writes a module on Python 3.8 and then runs the command."""
    text = (SOURCES / "in_container/install_modules.py").read_text(encoding="utf-8")
    command = [python38, "-c", "import config.extra; print(config.extra.x)"]
    done = subprocess.run(
        [python38, "-c", text, "extra", "x = 38\n", "--", *command],
        cwd=tmp_path,
        env={"AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "38\n"
