"""Deploys a cluster with SQS in an emulated AWS account."""

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
    """Deploy the app with this number of worker pools; return the ids of its queues and tables."""
    emulator.deploy(APP, TEST_POOLS=pools)
    stack = readback.Stack(emulator.client, "Sqs")
    assert [line for name in stack.bodies for line in stack.differences(name)] == []
    return {name: stack.ids[name] for name, body in stack.bodies.items() if body["Type"] in KEPT}


def test_a_new_worker_pool_adds_a_queue(emulator):
    """A new worker pool adds a queue and does not replace existing queues."""
    before = deploy(emulator, "1")
    after = deploy(emulator, "2")
    assert before.items() < after.items()
    (queue,) = after.keys() - before.keys()
    assert queue.startswith("AirflowBrokerQueuesheavygpu")
