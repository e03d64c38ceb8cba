"""Deploys clusters with Fargate Spot, ECS tasks and worker pools in an emulated AWS account."""

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

APPS = {
    "Executors": REPOSITORY / "tests/emulator/apps/executors.py",
    "Growth": REPOSITORY / "tests/emulator/apps/growth.py",
}


@pytest.mark.parametrize("name", APPS)
def test_services_are_created_after_their_capacity_providers(name, emulator):
    """Services are created after the capacity providers, and the API describes each declared property."""
    emulator.deploy(APPS[name])
    declared = readback.Stack(emulator.client, name)
    kinds = {name: body["Type"] for name, body in declared.bodies.items()}
    assert "AWS::ECS::ClusterCapacityProviderAssociations" in kinds.values()
    assert [line for name in kinds for line in declared.differences(name)] == []
    offers = {key for key, kind in kinds.items() if kind.endswith("CapacityProviderAssociations")}
    made = [event["LogicalResourceId"] for event in finished(emulator, name, "CREATE_COMPLETE")]
    waits = [
        (offer, key)
        for key, body in declared.bodies.items()
        if body["Type"] == "AWS::ECS::Service"
        for offer in offers.intersection(body.get("DependsOn", ()))
    ]
    assert waits
    assert all(made.index(offer) < made.index(key) for offer, key in waits)


def finished(emulator, stack, status):
    """Return the stack's events with this status, in order."""
    pages = emulator.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack)
    events = [event for page in pages for event in page["StackEvents"]]
    return [event for event in reversed(events) if event["ResourceStatus"] == status]
