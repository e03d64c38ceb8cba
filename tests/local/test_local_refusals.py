"""`airflow-ecs local up` refuses with helpful messages, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess

import pytest
import typer
from cluster import INTERPRETER, REPOSITORY, eventually, marked

from cdk_airflow_ecs.cli import local

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments"
    ),
]
TOPIC = {"Type": "AWS::SNS::Topic"}
HEALTHY = {"Command": ["CMD-SHELL", "exit 0"]}


def up(folder, resources: dict | None, *words: str) -> str:
    """Run `up` with a template and return the error."""
    template = folder / "Test.template.json"
    if resources is not None:
        template.write_text(json.dumps({"Resources": resources}))
    tried = subprocess.run(
        [INTERPRETER, "-m", "cdk_airflow_ecs.cli", "local", "up", template, "--state", folder / "state", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert tried.returncode == 1, tried.stdout
    assert "Traceback" not in tried.stderr
    eventually(lambda: not marked(folder / "state"), 60)  # wait, because killed processes take a moment to end
    return tried.stderr


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"A": {"Type": "AWS::Chatbot::X"}}, "Resource type AWS::Chatbot::X is not supported"),
        (
            {"A": TOPIC, "B": {"Type": "AWS::EC2::VPC", "Properties": {"Colour": "red"}}},
            "Property AWS::EC2::VPC.Colour",
        ),
        ({"A": {**TOPIC, "Properties": {"TopicName": {"Fn::Cidr": ["10.0.0.0/8"]}}}}, "Intrinsic function Fn::Cidr"),
    ],
    ids=["type", "property", "function"],
)
def test_unsupported_template_parts_are_refused(tmp_path, resources, message):
    """A resource with an unsupported type, property or function is refused by name."""
    done = up(tmp_path, resources)
    assert "airflow-ecs: Test could not be created locally: " in done
    assert message in done


def test_a_template_without_a_service_is_refused(tmp_path):
    """A template without a service is refused."""
    assert "no AWS::ECS::Service" in up(tmp_path, {"A": TOPIC})


def test_a_missing_template_is_refused(tmp_path):
    """If the template is missing, the error says how to synthesize it."""
    assert "does not exist. Run `cdk synth` first" in up(tmp_path, None)


def test_a_missing_dag_folder_is_refused(tmp_path):
    """A DAG folder that does not exist is refused before anything starts."""
    assert "--dags must be a folder, got nowhere" in up(tmp_path, {"A": TOPIC}, "--dags", "nowhere")
    assert not (tmp_path / "state").exists()


def test_a_ui_port_in_use_is_refused(tmp_path):
    """If the UI's port is in use, the run is refused with a remedy before anything is created."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = up(tmp_path, {"A": TOPIC}, "--port", str(port))
    assert f"port {port} of 127.0.0.1 is not available (Address already in use)" in done


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file system that is full")
def test_a_run_on_a_full_disk_is_refused(tmp_path):
    """On a full disk, the run is refused with the path before anything is created."""
    full = tmp_path / "full"
    full.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        assert f"{full}/state must have 0.5 GB of free space" in up(full, {"A": TOPIC})
    finally:
        subprocess.run(["umount", full], check=True)


def test_a_disk_that_becomes_full_during_a_run_causes_a_short_error(capsys):
    """If the disk becomes full during a run, the error is a single sentence without traceback."""
    with pytest.raises(typer.Exit), local._refusals(), open("/dev/full", "w") as full:
        full.write("x")
    assert capsys.readouterr().err.startswith("airflow-ecs: the disk of /")


def service(image: str, command: list[str]) -> dict:
    """Return the template of a service with one container."""
    network = {"Subnets": [{"Ref": "Subnet"}], "SecurityGroups": [{"Fn::GetAtt": ["Vpc", "DefaultSecurityGroup"]}]}
    container = {"Name": "main", "Image": image, "Command": command, "Essential": True, "HealthCheck": HEALTHY}
    definition = {"Family": "f", "Cpu": "256", "Memory": "512", "NetworkMode": "awsvpc"}
    return {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Subnet": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/24"},
        },
        "Cluster": {"Type": "AWS::ECS::Cluster"},
        "Task": {
            "Type": "AWS::ECS::TaskDefinition",
            "Properties": {
                **definition,
                "RequiresCompatibilities": ["FARGATE"],
                "ContainerDefinitions": [container],
            },
        },
        "Service": {
            "Type": "AWS::ECS::Service",
            "Properties": {
                "Cluster": {"Ref": "Cluster"},
                "TaskDefinition": {"Ref": "Task"},
                "DesiredCount": 1,
                "LaunchType": "FARGATE",
                "NetworkConfiguration": {"AwsvpcConfiguration": network},
            },
        },
    }


def test_the_error_names_a_container_that_keeps_exiting(tmp_path):
    """If a container keeps exiting, the error has its name, exit code and last lines."""
    done = up(tmp_path, service("redis:7", ["sh", "-c", "seq 1 50; exit 3"]))
    assert "does not start:\nEssential container in task exited" in done
    assert "main exited with 3; its last lines:\n21\n" in done
    assert done.rstrip().endswith("\n50")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("nginx:1.27", r"the image nginx:1.27 is not supported.*`--image nginx:1.27=DIR`"),
        ("apache/airflow:3.99.0", r"3\.99\.0"),
    ],
)
def test_an_image_that_cannot_run_is_refused(tmp_path, image, message):
    """An image that cannot run locally is refused by name with a remedy."""
    assert re.search(message, up(tmp_path, service(image, ["true"])))
