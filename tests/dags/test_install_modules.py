"""Python modules that the image lacks are written at the start of a container."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DAGS = Path(__file__).parents[2] / "src/cdk_airflow_ecs/in_container"
INSTALL = (DAGS / "install_modules.py").read_text()
COMMAND = "import json, os, sys; print(json.dumps([os.getpid(), sys.argv[1:]]))"


@pytest.mark.parametrize("has_config", [False, True])
def test_install_modules_py_writes_modules_before_the_command(tmp_path: Path, has_config: bool):
    """install_modules.py writes modules to Airflow's config folder, then replaces itself by the command."""
    folder = tmp_path / "config"
    if has_config:
        folder.mkdir()
        (folder / "airflow_local_settings.py").write_text("mine = 1\n")
    texts = {"one": "x = '$HOME'\n", "two": "y = 2\n"}
    words = [*(word for pair in texts.items() for word in pair), "--", sys.executable, "-c", COMMAND, "--", "a b"]
    with subprocess.Popen(
        [sys.executable, "-c", INSTALL, *words],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
    ) as process:
        assert json.load(process.stdout) == [process.pid, ["--", "a b"]]

    found = {path.stem: path.read_text() for path in folder.glob("*.py")}
    assert found == {**texts, **({"airflow_local_settings": "mine = 1\n"} if has_config else {})}
