"""Load balancers, certificates and DNS records."""

# ruff: noqa: D101, D102 (a type is its name, and each method is described by `Resource`)

from moto.route53.models import HostedZoneIdentifier
from moto.utilities.id_generator import moto_id_manager

from .account import Account
from .resources import Resource


def pairs(attributes: list[dict]) -> list[dict]:
    """Convert attribute values to strings."""
    return [{"Key": item["Key"], "Value": str(item["Value"])} for item in attributes]


class LoadBalancer(Resource):
    type = "AWS::ElasticLoadBalancingV2::LoadBalancer"
    service = "elbv2"
    fixed = {"Name", "Scheme", "Type"}
    name = ("Name", 32)
    creates = ("create_load_balancer", "LoadBalancers[0].LoadBalancerArn")
    deletes = "delete_load_balancer"
    key = "LoadBalancerArn"
    describes = ("describe_load_balancers", "LoadBalancerArns", "LoadBalancers[0]")
    attributes = {
        "DNSName": "DNSName",
        "CanonicalHostedZoneID": "CanonicalHostedZoneId",
        "LoadBalancerName": "LoadBalancerName",
        "SecurityGroups": "SecurityGroups",
        "LoadBalancerArn": "LoadBalancerArn",
    }

    def create(self, unique, p):
        values = p.pop("LoadBalancerAttributes", [])
        arn = self.make(self.named(unique, p))
        self._attributes(arn, values)
        return arn

    def _attributes(self, arn, values):
        if values:
            self.api.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=pairs(values))

    def update(self, physical_id, p, old):
        self._attributes(physical_id, p.get("LoadBalancerAttributes", []))
        self.api.set_security_groups(LoadBalancerArn=physical_id, SecurityGroups=p["SecurityGroups"])
        self.api.set_subnets(LoadBalancerArn=physical_id, Subnets=p["Subnets"])
        return physical_id

    def attribute(self, physical_id, name):
        if name == "LoadBalancerFullName":
            return physical_id.split(":loadbalancer/", 1)[1]
        return super().attribute(physical_id, name)


class Listener(Resource):
    type = "AWS::ElasticLoadBalancingV2::Listener"
    service = "elbv2"
    fixed = {"LoadBalancerArn"}
    creates = ("create_listener", "Listeners[0].ListenerArn")
    updates = "modify_listener"
    deletes = "delete_listener"
    key = "ListenerArn"
    describes = ("describe_listeners", "ListenerArns", "Listeners[0]")
    attributes = {"ListenerArn": "ListenerArn"}

    def create(self, unique, p):
        values = p.pop("ListenerAttributes", [])
        arn = self.make(self.named(unique, p))
        self._attributes(arn, values)
        return arn

    def _attributes(self, arn, values):
        if values:
            self.api.modify_listener_attributes(ListenerArn=arn, Attributes=pairs(values))

    def update(self, physical_id, p, old):
        self._attributes(physical_id, p.pop("ListenerAttributes", []))
        old.pop("ListenerAttributes", None)
        return super().update(physical_id, p, old)


class ListenerRule(Resource):
    type = "AWS::ElasticLoadBalancingV2::ListenerRule"
    service = "elbv2"
    fixed = {"ListenerArn"}
    creates = ("create_rule", "Rules[0].RuleArn")
    updates = "modify_rule"
    deletes = "delete_rule"
    key = "RuleArn"


class TargetGroup(Resource):
    type = "AWS::ElasticLoadBalancingV2::TargetGroup"
    service = "elbv2"
    fixed = {"Name", "Port", "Protocol", "ProtocolVersion", "TargetType", "VpcId"}
    name = ("Name", 32)
    creates = ("create_target_group", "TargetGroups[0].TargetGroupArn")
    updates = "modify_target_group"
    deletes = "delete_target_group"
    key = "TargetGroupArn"
    describes = ("describe_target_groups", "TargetGroupArns", "TargetGroups[0]")
    attributes = {"TargetGroupName": "TargetGroupName", "TargetGroupArn": "TargetGroupArn"}

    def create(self, unique, p):
        values = p.pop("TargetGroupAttributes", [])
        arn = self.make(self.named(unique, p))
        self._attributes(arn, values)
        return arn

    def _attributes(self, arn, values):
        if values:
            self.api.modify_target_group_attributes(TargetGroupArn=arn, Attributes=pairs(values))

    def update(self, physical_id, p, old):
        self._attributes(physical_id, p.pop("TargetGroupAttributes", []))
        old.pop("TargetGroupAttributes", None)
        return super().update(physical_id, p, old)

    def attribute(self, physical_id, name):
        if name == "TargetGroupFullName":
            return physical_id.rsplit(":", 1)[1]
        if name == "LoadBalancerArns":
            return self.describe(physical_id)["LoadBalancerArns"]
        return super().attribute(physical_id, name)


class Certificate(Resource):
    """An ACM certificate, issued at once without validation."""

    type = "AWS::CertificateManager::Certificate"
    service = "acm"
    fixed = {"DomainName", "SubjectAlternativeNames", "DomainValidationOptions", "ValidationMethod"}
    creates = ("request_certificate", "CertificateArn")
    deletes = "delete_certificate"
    key = "CertificateArn"

    def create(self, unique, p):
        p.pop("DomainValidationOptions", None)
        return self.make(p)


def hosted_zone(account: Account, zone_id: str, name: str) -> None:
    """Create a hosted zone with this id, as if it existed before the stacks."""
    moto_id_manager.set_custom_id(HostedZoneIdentifier(account.id, f"{name}.", None), zone_id)
    account.client("route53").create_hosted_zone(Name=name, CallerReference=zone_id)


class RecordSet(Resource):
    type = "AWS::Route53::RecordSet"
    service = "route53"
    fixed = {"HostedZoneId", "Name", "Type"}

    def _change(self, action, p):
        record = {name: value for name, value in p.items() if name not in ("HostedZoneId", "Comment")}
        if "ResourceRecords" in record:
            record["ResourceRecords"] = [{"Value": value} for value in record["ResourceRecords"]]
        if "AliasTarget" in record:
            record["AliasTarget"] = {"EvaluateTargetHealth": False, **record["AliasTarget"]}
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        self.call("change_resource_record_sets", {"HostedZoneId": p["HostedZoneId"], "ChangeBatch": batch})

    def create(self, unique, p):
        self._change("CREATE", p)
        return p["Name"]

    def update(self, physical_id, p, old):
        self._change("UPSERT", p)
        return physical_id

    def delete(self, physical_id, p):
        self._change("DELETE", p)
