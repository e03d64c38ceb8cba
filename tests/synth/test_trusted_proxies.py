"""Airflow 3 trusts forwarded headers only from the load balancer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from aws_cdk import App, Fn, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk.assertions import Template

from cdk_airflow_ecs import AirflowCluster, AirflowVersion
from cdk_airflow_ecs.network import PRIVATE_BLOCKS

INTERPRETER = Path(__file__).parents[2] / ".venvs/airflow-3.3.2/bin/python"
# This program sends one request through the middleware that `airflow api-server --proxy-headers` uses.
ASK = """
import asyncio, sys
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
async def app(scope, receive, send): print(scope["client"][0], scope["scheme"])
headers = [(b"x-forwarded-for", sys.argv[2].encode()), (b"x-forwarded-proto", b"https")]
scope = {"type": "http", "client": (sys.argv[3], 1), "scheme": "http", "headers": headers}
asyncio.run(ProxyHeadersMiddleware(app, sys.argv[1])(scope, None, None))
"""


def trusted(vpc: str) -> object:
    """Return the addresses from which the API server trusts forwarded headers."""
    stack = Stack(App(), "S")
    given = None
    if vpc == "imported":
        given = ec2.Vpc.from_vpc_attributes(
            stack, "V", vpc_id="vpc-1", vpc_cidr_block="10.9.0.0/16", availability_zones=["a", "b"],
            private_subnet_ids=["subnet-1", "subnet-2"],
        )  # fmt: skip
    elif vpc == "blocks":
        given = ec2.Vpc.from_vpc_attributes(
            stack, "V", vpc_id="vpc-1", vpc_cidr_block="10.9.0.0/16", availability_zones=["a", "b"],
            private_subnet_ids=["subnet-1", "subnet-2"], private_subnet_ipv4_cidr_blocks=["10.9.1.0/24", "10.9.2.0/24"],
        )  # fmt: skip
    elif vpc == "late":
        given = ec2.Vpc.from_vpc_attributes(
            stack, "V", vpc_id=Fn.import_value("vpc"), vpc_cidr_block="10.9.0.0/16", availability_zones=["a", "b"],
            private_subnet_ids=Fn.split(",", Fn.import_value("private"), 2),
        )  # fmt: skip
    AirflowCluster(stack, "Airflow", version=AirflowVersion.V3_3, vpc=given)
    found = [
        variable["Value"]
        for definition in Template.from_stack(stack).find_resources("AWS::ECS::TaskDefinition").values()
        for container in definition["Properties"]["ContainerDefinitions"]
        for variable in container.get("Environment", [])
        if variable["Name"] == "FORWARDED_ALLOW_IPS"
    ]
    (only,) = found
    return only


@pytest.mark.parametrize(
    ("vpc", "blocks"),
    [("imported", PRIVATE_BLOCKS), ("blocks", "10.9.1.0/24,10.9.2.0/24"), ("late", PRIVATE_BLOCKS)],
)
def test_airflow_3_trusts_forwarded_headers_only_from_the_load_balancer(vpc, blocks):
    """From elsewhere, a client could forge X-Forwarded-For and avoid the limit on sign-ins."""
    assert trusted(vpc) == blocks


def test_the_load_balancer_subnets_of_a_created_vpc_are_trusted():
    """In a VPC that the cluster creates, the load balancer's subnets are known."""
    blocks = trusted("own").split(",")
    assert len(blocks) == 2
    assert all(block.startswith("10.0.") for block in blocks)


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("forwarded", "peer", "client"),
    [
        ("6.6.6.6, 203.0.113.7", "10.9.1.4", "203.0.113.7 https"),
        ("203.0.113.7", "10.9.2.4", "203.0.113.7 https"),
        ("6.6.6.6", "203.0.113.7", "203.0.113.7 http"),
    ],
)
def test_a_forged_client_address_is_ignored(forwarded, peer, client):
    """Uvicorn uses the client address that the load balancer appends."""
    words = [str(INTERPRETER), "-c", ASK, "10.9.1.0/24,10.9.2.0/24", forwarded, peer]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip() == client
