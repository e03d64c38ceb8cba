"""What cannot run here is refused in words, and leaves nothing behind."""

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
        timeout=600,
        check=False,
    )
    assert tried.returncode == 1, tried.stdout
    assert "Traceback" not in tried.stderr
    eventually(lambda: not marked(folder / "state"), 60)  # what was killed takes a moment to be gone
    return tried.stderr


@pytest.mark.parametrize(
    ("resources", "told"),
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
def test_what_a_template_says_and_nothing_here_does(tmp_path, resources, told):
    """The error names the resource and its unsupported part."""
    done = up(tmp_path, resources)
    assert "airflow-ecs: Test could not be created locally: " in done
    assert told in done


def test_nothing_to_run(tmp_path):
    """A template without a service is not what the user meant."""
    assert "no AWS::ECS::Service" in up(tmp_path, {"A": TOPIC})


def test_no_template(tmp_path):
    """Who has not synthesized is told how."""
    assert "does not exist. Run `cdk synth` first" in up(tmp_path, None)


def test_a_folder_of_dags_that_does_not_exist(tmp_path):
    """A wrong option is refused before anything starts."""
    assert "--dags must be a folder, got nowhere" in up(tmp_path, {"A": TOPIC}, "--dags", "nowhere")
    assert not (tmp_path / "state").exists()


def test_a_port_that_is_in_use(tmp_path):
    """It is told before anything is made, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = up(tmp_path, {"A": TOPIC}, "--port", str(port))
    assert f"port {port} of 127.0.0.1 is not available (Address already in use)" in done


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file system that is full")
def test_a_full_disk(tmp_path):
    """A place without room is refused by name, before anything is made."""
    full = tmp_path / "full"
    full.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        assert f"{full}/state must have 0.5 GB of free space" in up(full, {"A": TOPIC})
    finally:
        subprocess.run(["umount", full], check=True)


def test_a_disk_that_fills(capsys):
    """Whatever is being written then, the user reads one sentence."""
    with pytest.raises(typer.Exit), local._refusals(), open("/dev/full", "w") as full:
        full.write("x")
    assert capsys.readouterr().err.startswith("airflow-ecs: the disk of /")


def service(image: str, command: list[str]) -> dict:
    """A service of one container, with what it needs."""
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


def test_a_container_that_exits(tmp_path):
    """Whoever keeps dying is named, with its exit code and its last lines."""
    done = up(tmp_path, service("redis:7", ["sh", "-c", "seq 1 50; exit 3"]))
    assert "does not start:\nEssential container in task exited" in done
    assert "main exited with 3; its last lines:\n21\n" in done
    assert done.rstrip().endswith("\n50")


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("nginx:1.27", r"the image nginx:1.27 is not supported.*`--image nginx:1.27=DIR`"),
        ("apache/airflow:3.99.0", r"3\.99\.0"),
    ],
)
def test_an_environment_that_cannot_be_had(tmp_path, image, told):
    """The image is named, and what can be done."""
    assert re.search(told, up(tmp_path, service(image, ["true"])))
