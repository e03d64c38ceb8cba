"""A cluster with the ECS executor on Fargate Spot, through the real `cdk` command, on an emulated account."""

import pytest

from . import readback
from .server import INTERPRETER, REPOSITORY, Emulator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("emulator"),
    pytest.mark.skipif(not INTERPRETER.exists(), reason="needs the emulator's environment: make environments"),
]

APP = f"python {REPOSITORY / 'tests' / 'emulator' / 'apps' / 'executors.py'}"


def test_it_deploys_and_reads_back_as_declared(tmp_path):
    """Everything is made in an order that works, and each property is what the service's own API describes."""
    with Emulator(tmp_path / "server.log") as emulator:
        for command in (
            ("bootstrap", "aws://123456789012/us-east-1"),
            ("deploy", "--app", APP, "--require-approval", "never"),
        ):
            done = emulator.cdk(*command, "--no-notices", cwd=tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
        declared = readback.Stack(emulator.client, "Executors")
        kinds = {name: body["Type"] for name, body in declared.bodies.items()}
        assert "AWS::ECS::ClusterCapacityProviderAssociations" in kinds.values()
        assert [line for name in kinds for line in declared.differences(name)] == []
