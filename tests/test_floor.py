"""Tests with the oldest dependencies that pyproject.toml accepts, on the oldest Python."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOOR = ROOT / ".venvs/floor"


@pytest.mark.slow
def test_the_environment_has_the_oldest_supported_python():
    """The environment has the oldest Python that pyproject.toml accepts, if it is installed."""
    (oldest,) = re.findall(r'^requires-python = ">=(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    (ran,) = re.findall(r"^version_info = (\d+\.\d+)", (FLOOR / "pyvenv.cfg").read_text(), re.MULTILINE)
    there = (shutil.which(f"python{oldest}"), *Path.home().glob(f".pyenv/versions/{oldest}.*/bin/python"))
    runs = (subprocess.run([each, "--version"], capture_output=True, check=False) for each in there if each)
    if ran != oldest and not any(done.returncode == 0 for done in runs):
        pytest.xfail(f"NOT RUN: Python {oldest} is not installed; the tests ran on {ran}")
    assert ran == oldest, "make environments"


EXAMPLES = {
    "quickstart": ("Quickstart", 5, 6),
    "mixed-executors": ("Mixed", 5, 7),
    "aurora": ("Aurora", 5, 6),
    "scale-to-zero": ("Scaled", 6, 7),
    "gpu-pool": ("Gpu", 6, 7),
    "celery-redis-container": ("AirflowDev", 7, 8),
}
RUN = """
import functools, runpy, sys
import aws_cdk
folder, *names = sys.argv[1:]
make = aws_cdk.App
for name in names:
    aws_cdk.App = functools.partial(make, outdir=f"{folder}/{name}")
    runpy.run_path(f"examples/{name}/app.py")
"""


@pytest.mark.slow
def test_examples_synthesize_with_the_oldest_dependencies(tmp_path):
    """Examples synthesize with the oldest dependencies, with the expected services and task definitions."""
    # One process runs all examples, because its start takes most of the time.
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([FLOOR / "bin/python", "-c", RUN, tmp_path, *EXAMPLES], cwd=ROOT, env=environment, check=True)
    for name, (stack, services, definitions) in EXAMPLES.items():
        template = json.loads((tmp_path / name / f"{stack}.template.json").read_text())
        types = [resource["Type"] for resource in template["Resources"].values()]
        assert types.count("AWS::ECS::Service") == services
        assert types.count("AWS::ECS::TaskDefinition") == definitions
