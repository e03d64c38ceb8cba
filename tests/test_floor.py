"""The oldest dependencies that pyproject.toml admits are enough."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_quickstart_synthesizes_with_the_oldest_dependencies(tmp_path):
    """The floor of each dependency is a release that was run, and the template has the same resources."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "CDK_OUTDIR": str(tmp_path)}

    subprocess.run(
        [ROOT / ".venvs/floor/bin/python", "app.py"], cwd=ROOT / "examples/quickstart", env=environment, check=True
    )

    template = json.loads((tmp_path / "Quickstart.template.json").read_text())
    types = [resource["Type"] for resource in template["Resources"].values()]
    assert types.count("AWS::ECS::Service") == 5
    assert types.count("AWS::ECS::TaskDefinition") == 6
