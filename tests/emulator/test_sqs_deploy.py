"""A cluster over SQS, through the real `cdk` command, on an emulated account: made, and given one more pool."""

import pytest

from . import readback
from .server import INTERPRETER, REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("emulator"),
    pytest.mark.skipif(
        not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments"
    ),
]

APP = REPOSITORY / "tests/emulator/apps/sqs.py"
KEPT = ("AWS::SQS::Queue", "AWS::DynamoDB::Table")


def deploy(emulator, pools):
    """Deploy the app with so many pools, and return what the API says of it."""
    emulator.deploy(APP, TEST_POOLS=pools)
    stack = readback.Stack(emulator.client, "Sqs")
    assert [line for name in stack.bodies for line in stack.differences(name)] == []
    return {name: stack.ids[name] for name, body in stack.bodies.items() if body["Type"] in KEPT}


def test_a_pool_is_added(emulator):
    """Each property is what the service's own API describes, and a new pool brings a queue and replaces none."""
    before = deploy(emulator, "1")
    after = deploy(emulator, "2")
    assert before.items() < after.items()
    (queue,) = after.keys() - before.keys()
    assert queue.startswith("AirflowBrokerQueuesheavygpu")
