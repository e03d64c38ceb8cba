"""The oldest dependencies that pyproject.toml admits are enough."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "stack", "services", "definitions"),
    [
        ("quickstart", "Quickstart", 5, 6),
        ("mixed-executors", "Mixed", 5, 7),
        ("aurora", "Aurora", 5, 6),
        ("celery-redis-container", "AirflowDev", 7, 8),
    ],
)
def test_an_example_synthesizes_with_the_oldest_dependencies(tmp_path, example, stack, services, definitions):
    """The floor of each dependency is a release that was run, and the template has the same resources."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "CDK_OUTDIR": str(tmp_path)}

    subprocess.run(
        [ROOT / ".venvs/floor/bin/python", "app.py"], cwd=ROOT / "examples" / example, env=environment, check=True
    )

    template = json.loads((tmp_path / f"{stack}.template.json").read_text())
    types = [resource["Type"] for resource in template["Resources"].values()]
    assert types.count("AWS::ECS::Service") == services
    assert types.count("AWS::ECS::TaskDefinition") == definitions
