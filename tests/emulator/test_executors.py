"""Deploys clusters with Fargate Spot, ECS tasks and worker pools in an emulated AWS account."""

import re

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


def test_tasks_outside_fargate_run_as_processes(emulator):
    """RunTask starts a task on a managed instance, and rejects a platform version, as AWS does."""
    emulator.deploy(REPOSITORY / "tests/emulator/apps/machines.py")
    stack = readback.Stack(emulator.client, "Machines")
    assert [line for name in stack.bodies for line in stack.differences(name)] == []
    ecs = emulator.client("ecs")
    resources = emulator.client("cloudformation").describe_stack_resources(StackName="Machines")["StackResources"]
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
    (provider,) = [found for key, found in ids.items() if key.startswith("AirflowCapacitygpuProvider")]
    (cluster,) = [found for key, found in ids.items() if key.startswith("AirflowCluster")]
    subnets = [found for key, found in ids.items() if key.startswith("AirflowVpcPrivateSubnet1Subnet")]
    (definition,) = [found for key, found in ids.items() if key.startswith("AirflowTasksexecutorTaskDefinition")]
    groups = [found for key, found in ids.items() if re.fullmatch("AirflowTasksexecutorSecurityGroup[0-9A-F]{8}", key)]
    on_gpu = {
        "cluster": cluster,
        "taskDefinition": definition,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": groups}},
        "capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}],
    }
    (task,) = ecs.run_task(**on_gpu)["tasks"]
    assert task["capacityProviderName"] == provider
    with pytest.raises(ecs.exceptions.InvalidParameterException, match="platform version"):
        ecs.run_task(**on_gpu, platformVersion="LATEST")


def finished(emulator, stack, status):
    """Return the stack's events with this status, in order."""
    pages = emulator.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack)
    events = [event for page in pages for event in page["StackEvents"]]
    return [event for event in reversed(events) if event["ResourceStatus"] == status]
