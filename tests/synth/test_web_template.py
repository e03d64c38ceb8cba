"""Web ACL, deletion protection and HSTS of the load balancer."""

from __future__ import annotations

import pytest
from aws_cdk import App, RemovalPolicy, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_wafv2 as wafv2

from cdk_airflow_ecs import Web
from synthesis import add_cluster, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

ARN = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/airflow/11111111-2222-3333-4444-555555555555"


def associations(template: dict) -> list[dict]:
    """Return the properties of all web ACL associations."""
    return [each["Properties"] for each in resources(template, "AWS::WAFv2::WebACLAssociation").values()]


def attributes(template: dict) -> dict[str, str]:
    """Return the attributes of the load balancer."""
    (balancer,) = resources(template, "AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    return {each["Key"]: each["Value"] for each in balancer["Properties"]["LoadBalancerAttributes"]}


def test_an_existing_web_acl_is_associated_with_the_load_balancer():
    """An existing web ACL is associated with the load balancer."""
    (association,) = associations(template_of(web=Web(web_acl=ARN)))
    assert association["WebACLArn"] == ARN
    assert "AirflowWebLoadBalancer" in str(association["ResourceArn"])


def test_a_web_acl_in_the_same_app_is_associated_with_the_load_balancer():
    """A web ACL that the same app creates is associated with the load balancer."""

    def build(app: App) -> None:
        stack = Stack(app, "Data")
        visible = wafv2.CfnWebACL.VisibilityConfigProperty(
            cloud_watch_metrics_enabled=True, metric_name="airflow", sampled_requests_enabled=True
        )
        allow = wafv2.CfnWebACL.DefaultActionProperty(allow=wafv2.CfnWebACL.AllowActionProperty())
        acl = wafv2.CfnWebACL(stack, "WebAcl", scope="REGIONAL", default_action=allow, visibility_config=visible)
        add_cluster(stack, web=Web(web_acl=acl))

    (association,) = associations(synthesize(build).templates["Data"])
    assert association["WebACLArn"] == {"Fn::GetAtt": ["WebAcl", "Arn"]}


def test_the_load_balancer_has_no_web_acl_by_default():
    """There is no web ACL by default."""
    assert associations(template_of()) == []


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        (ARN.replace("regional", "global"), "web ACLs of CloudFront are not supported"),
        ("airflow", "got 'airflow'"),
        ("", "got ''"),
        (wafv2.CfnWebACL, "web_acl must be"),
        (7, "web_acl must be"),
    ],
)
def test_an_invalid_web_acl_is_rejected(arn, message):
    """web_acl= must be a regional web ACL."""
    with pytest.raises(ValueError, match=message):
        Web(web_acl=arn)


def test_deletion_protection_is_independent_of_the_removal_policy():
    """Deletion protection is independent of the removal policy."""
    assert "deletion_protection.enabled" not in {
        name for name, value in attributes(template_of()).items() if value == "true"
    }
    protected = Web(deletion_protection=True)
    for policy in (None, RemovalPolicy.DESTROY):
        template = template_of(web=protected, removal_policy=policy)
        assert attributes(template)["deletion_protection.enabled"] == "true"
    with pytest.raises(ValueError, match=r"deletion_protection .*True or False"):
        Web(deletion_protection="yes")


def test_only_the_https_listener_sends_hsts():
    """Only the HTTPS listener sends HSTS."""

    def build(app: App) -> None:
        stack = Stack(app, "Data")
        arn = "arn:aws:acm:us-east-1:123456789012:certificate/1"
        certificate = acm.Certificate.from_certificate_arn(stack, "Certificate", arn)
        add_cluster(stack, web=Web(certificate=certificate, domain_name="airflow.example.com"))

    def listener_attributes(template: dict) -> dict[int, object]:
        listeners = resources(template, "AWS::ElasticLoadBalancingV2::Listener").values()
        return {each["Properties"]["Port"]: each["Properties"].get("ListenerAttributes") for each in listeners}

    header = "routing.http.response.strict_transport_security.header_value"
    assert listener_attributes(synthesize(build).templates["Data"]) == {
        80: None,
        443: [{"Key": header, "Value": "max-age=31536000"}],
    }
    assert listener_attributes(template_of()) == {80: None}
