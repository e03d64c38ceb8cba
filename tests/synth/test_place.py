"""Resources of another account or region raise an error, if their place is known."""

from __future__ import annotations

import pytest
from aws_cdk import App, CfnParameter, Environment, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2

from cdk_airflow_ecs import AirflowVersion, Web
from synthesis import add_cluster, env

pytestmark = pytest.mark.xdist_group("synth")

OWNER = "999999999999"
LOOKUP = (
    f"vpc-provider:account=123456789012:filter.owner-id={OWNER}:filter.vpc-id=vpc-1:region=eu-central-1"
    ":returnAsymmetricSubnets=true"
)


def found(owner: str) -> dict:
    """Return what a VPC lookup finds: private subnets in two zones."""
    zones = ("a", "b")
    subnets = [
        {"subnetId": f"s-{z}", "cidr": "10.0.0.0/24", "availabilityZone": f"eu-central-1{z}", "routeTableId": "r"}
        for z in zones
    ]
    groups = [{"name": "Private", "type": "Private", "subnets": subnets}]
    place = {"vpcId": "vpc-1", "vpcCidrBlock": "10.0.0.0/16", "ownerAccountId": owner}
    return {**place, "availabilityZones": [], "subnetGroups": groups}


def shared_vpc(stack: Stack, owner: str) -> ec2.IVpc:
    """Return a VPC that another account shares."""
    stack.node.set_context(LOOKUP, found(owner))
    return ec2.Vpc.from_lookup(stack, "Shared", vpc_id="vpc-1", owner_account_id=OWNER)


def certificate(stack: Stack, arn: str) -> acm.ICertificate:
    """Return a certificate by its ARN."""
    return acm.Certificate.from_certificate_arn(stack, "Certificate", arn)


def test_a_certificate_of_another_region_is_rejected():
    """The error has the region of the certificate and that of the cluster."""
    stack = Stack(App(), "Data", env=env("eu-west-1"))
    web = Web(certificate=certificate(stack, "arn:aws:acm:us-east-1:123456789012:certificate/1"), domain_name="a.b")
    with pytest.raises(ValueError, match=r"certificate .*eu-west-1,.* got one in us-east-1"):
        add_cluster(stack, web=web)


def test_a_certificate_of_a_stack_in_another_region_is_rejected():
    """The certificate belongs to another stack of the same app."""
    app = App()
    other = Stack(app, "Other", env=env("us-east-1"), cross_region_references=True)
    web = Web(certificate=acm.Certificate(other, "Certificate", domain_name="a.b"), domain_name="a.b")
    with pytest.raises(ValueError, match=r"certificate .*eu-west-1,.* got one in us-east-1"):
        add_cluster(Stack(app, "Data", env=env("eu-west-1"), cross_region_references=True), web=web)


@pytest.mark.parametrize("known", [True, False])
def test_a_certificate_of_the_same_or_an_unknown_region_is_accepted(known):
    """A certificate of the same or an unknown region is accepted."""
    stack = Stack(App(), "Data", env=env("us-east-1") if known else None)
    arn = "arn:aws:acm:us-east-1:123456789012:certificate/1"
    add_cluster(stack, web=Web(certificate=certificate(stack, arn), domain_name="a.b"))
    other = Stack(App(), "Other", env=env("us-east-1") if known else None)
    parameter = CfnParameter(other, "Arn").value_as_string
    add_cluster(other, web=Web(certificate=certificate(other, parameter), domain_name="a.b"))


def test_a_vpc_that_another_account_shares_is_rejected():
    """Only the VPC's owner may associate a private DNS zone."""
    stack = Stack(App(), "Data", env=env())
    with pytest.raises(ValueError, match=rf"vpc= .* 123456789012,.* got a VPC of {OWNER}"):
        add_cluster(stack, vpc=shared_vpc(stack, OWNER))


def test_a_shared_vpc_is_accepted_without_a_private_dns_zone():
    """VPCs of the same account or of an unknown one are accepted, too."""
    own = Stack(App(), "Data", env=env())
    add_cluster(own, vpc=shared_vpc(own, "123456789012"))
    without_zone = Stack(App(), "Data", env=env())
    add_cluster(without_zone, vpc=shared_vpc(without_zone, OWNER), version=AirflowVersion.V2_11)
    unknown = Stack(App(), "Data", env=Environment(region="eu-central-1"))
    zones = ["eu-central-1a", "eu-central-1b"]
    vpc = ec2.Vpc.from_vpc_attributes(
        *(unknown, "Vpc"),
        vpc_id="vpc-1",
        availability_zones=zones,
        private_subnet_ids=["s-1", "s-2"],
        vpc_cidr_block="10.0.0.0/16",
    )
    add_cluster(unknown, vpc=vpc)
