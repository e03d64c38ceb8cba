"""A cluster over SQS, through the real `cdk` command, on an emulated account: made, and given one more pool."""

import pytest

from . import readback
from .server import INTERPRETER, REPOSITORY, Emulator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("emulator"),
    pytest.mark.skipif(
        not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments"
    ),
]

APP = f"python {REPOSITORY / 'tests' / 'emulator' / 'apps' / 'sqs.py'}"
KEPT = ("AWS::SQS::Queue", "AWS::DynamoDB::Table")


def deploy(emulator, folder, pools):
    """Deploy the app with so many pools, and return what the API says of it."""
    done = emulator.cdk(
        *("deploy", "--app", APP, "--require-approval", "never", "--no-notices"), cwd=folder, TEST_POOLS=pools
    )
    assert done.returncode == 0, done.stdout + done.stderr
    stack = readback.Stack(emulator.client, "Sqs")
    assert [line for name in stack.bodies for line in stack.differences(name)] == []
    return {name: stack.ids[name] for name, body in stack.bodies.items() if body["Type"] in KEPT}


def test_a_pool_is_added(tmp_path):
    """Each property is what the service's own API describes, and a new pool brings a queue and replaces none."""
    with Emulator(tmp_path / "server.log") as emulator:
        done = emulator.cdk("bootstrap", "aws://123456789012/us-east-1", "--no-notices", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        before = deploy(emulator, tmp_path, "1")
        after = deploy(emulator, tmp_path, "2")
        assert before.items() < after.items()
        (queue,) = after.keys() - before.keys()
        assert queue.startswith("AirflowBrokerQueuesheavygpu")
