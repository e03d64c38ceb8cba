"""Deploys an image built from a directory, with a replacement for Docker."""

import json
import re

import pytest

from . import builder, readback
from .server import ACCOUNT, INTERPRETER, REGION, REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("emulator"),
    pytest.mark.skipif(
        not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments"
    ),
]

EXAMPLE = REPOSITORY / "examples" / "custom-image"
REPOSITORY_URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"


def test_the_image_of_the_example_is_built_pushed_and_deployed(emulator, tmp_path):
    """One image is built from the example's files for the processor of the tasks, and the tasks run this image."""
    app, log = EXAMPLE / "app.py", tmp_path / "builder.log"
    output = emulator.deploy(app, succeeds=False, CDK_DOCKER="no-such-docker")
    assert "Please install 'no-such-docker' and try again. (Or set the 'CDK_DOCKER" in output
    emulator.deploy(app, CDK_DOCKER=builder.__file__, BUILDER_LOG=str(log))
    declared = readback.Stack(emulator.client, "Reports")
    assert [line for name in declared.bodies for line in declared.differences(name)] == []
    images = declared.images()
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    by_command = {call["arguments"][0]: call for call in calls}
    assert len([call for call in calls if call["arguments"][0] == "build"]) == 1
    (image,) = images
    assert re.fullmatch(re.escape(REPOSITORY_URI) + ":[0-9a-f]{64}", image)
    build = by_command["build"]["arguments"]
    local = build[build.index("--tag") + 1]
    assert build == ["build", "--tag", local, "--platform", "linux/amd64", "."]
    assert (local, local.removeprefix("cdkasset-")) == (
        f"cdkasset-{image.rpartition(':')[2]}",
        image.rpartition(":")[2],
    )
    assert by_command["tag"]["arguments"] == ["tag", local, image]
    assert by_command["push"]["arguments"] == ["push", image]
    assert by_command["login"]["logged_in"]
    assert [call["arguments"][0] for call in calls][-2:] == ["tag", "push"]
    files = by_command["build"]["files"]
    folder = EXAMPLE / "airflow"
    sources = {str(file.relative_to(folder)) for kind in ("plugins", "dags") for file in folder.glob(f"{kind}/*.py")}
    assert set(files) == {"Dockerfile", "requirements.txt", *sources}
    assert {name: files[name][0] for name in sources} == {name: (folder / name).read_text() for name in sources}
    assert {mode for _, mode in files.values()} == {"0o644"}
    assert files["Dockerfile"][0].startswith("FROM apache/airflow:3.3.2-python3.12\n")
