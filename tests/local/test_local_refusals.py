"""What cannot run here is refused in words, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from cluster import INTERPRETER, REPOSITORY, marked

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments"
    ),
]
TOPIC = {"Type": "AWS::SNS::Topic"}


def up(folder, resources: dict | None, *words: str) -> str:
    """Try to bring a template up; return why it was refused."""
    template = folder / "Test.template.json"
    if resources is not None:
        template.write_text(json.dumps({"Resources": resources}))
    tried = subprocess.run(
        [INTERPRETER, "-m", "cdk_airflow_ecs.cli", "local", "up", template, "--state", folder / "state", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert tried.returncode == 1, tried.stdout
    assert "Traceback" not in tried.stderr
    assert marked(folder / "state") == []
    return tried.stderr


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"A": {"Type": "AWS::Chatbot::X"}}, "Resource type AWS::Chatbot::X has no counterpart here"),
        (
            {"A": TOPIC, "B": {"Type": "AWS::EC2::VPC", "Properties": {"Colour": "red"}}},
            "Property AWS::EC2::VPC.Colour",
        ),
        ({"A": {**TOPIC, "Properties": {"TopicName": {"Fn::Cidr": ["10.0.0.0/8"]}}}}, "Intrinsic function Fn::Cidr"),
    ],
    ids=["type", "property", "function"],
)
def test_what_a_template_says_and_nothing_here_does(tmp_path, resources, told):
    """The resource is named, and what of it has no counterpart."""
    said = up(tmp_path, resources)
    assert "airflow-ecs: Test could not be made here: " in said
    assert told in said


def test_nothing_to_run(tmp_path):
    """A template without a service is not what the user meant."""
    assert "no AWS::ECS::Service" in up(tmp_path, {"A": TOPIC})


def test_no_template(tmp_path):
    """Who has not synthesized is told how."""
    assert "does not exist. Run `cdk synth` first" in up(tmp_path, None)


def test_a_folder_of_dags_that_does_not_exist(tmp_path):
    """A wrong option is refused before anything starts."""
    assert "--dags nowhere is no folder" in up(tmp_path, {"A": TOPIC}, "--dags", "nowhere")
    assert not (tmp_path / "state").exists()
