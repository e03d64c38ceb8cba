"""EC2 networks: VPCs, subnets, routes, security groups and rules."""

# ruff: noqa: D101, D102 (a type is its name, and each method is described by `Resource`)

from botocore.exceptions import ClientError

from .resources import Resource


class Ec2(Resource):
    """An EC2 resource."""

    service = "ec2"


class Vpc(Ec2):
    type = "AWS::EC2::VPC"
    tagged = "vpc"
    fixed = {"CidrBlock"}
    creates = ("create_vpc", "Vpc.VpcId")
    deletes = "delete_vpc"
    key = "VpcId"
    describes = ("describe_vpcs", "VpcIds", "Vpcs[0]")
    attributes = {"VpcId": "VpcId", "CidrBlock": "CidrBlock"}

    def create(self, unique, p):
        switches = {name: p.pop(name) for name in ("EnableDnsHostnames", "EnableDnsSupport") if name in p}
        vpc = self.make(p)
        for name, value in switches.items():
            self.call("modify_vpc_attribute", {"VpcId": vpc, name: {"Value": value}})
        return vpc

    def attribute(self, physical_id, name):
        if name != "DefaultSecurityGroup":
            return super().attribute(physical_id, name)
        filters = [{"Name": "vpc-id", "Values": [physical_id]}, {"Name": "group-name", "Values": ["default"]}]
        return self.api.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"]


class Subnet(Ec2):
    type = "AWS::EC2::Subnet"
    tagged = "subnet"
    fixed = {"AvailabilityZone", "CidrBlock", "VpcId"}
    creates = ("create_subnet", "Subnet.SubnetId")
    deletes = "delete_subnet"
    key = "SubnetId"
    describes = ("describe_subnets", "SubnetIds", "Subnets[0]")
    attributes = {"SubnetId": "SubnetId", "AvailabilityZone": "AvailabilityZone", "CidrBlock": "CidrBlock"}

    def create(self, unique, p):
        public = p.pop("MapPublicIpOnLaunch", False)
        subnet = self.make(p)
        self.call("modify_subnet_attribute", {"SubnetId": subnet, "MapPublicIpOnLaunch": {"Value": public}})
        return subnet


class RouteTable(Ec2):
    type = "AWS::EC2::RouteTable"
    tagged = "route-table"
    fixed = {"VpcId"}
    creates = ("create_route_table", "RouteTable.RouteTableId")
    deletes = "delete_route_table"
    key = "RouteTableId"


class SubnetRouteTableAssociation(Ec2):
    type = "AWS::EC2::SubnetRouteTableAssociation"
    fixed = {"RouteTableId", "SubnetId"}
    creates = ("associate_route_table", "AssociationId")
    deletes = "disassociate_route_table"
    key = "AssociationId"


class Route(Ec2):
    type = "AWS::EC2::Route"
    fixed = {"RouteTableId", "DestinationCidrBlock"}

    def create(self, unique, p):
        self.call("create_route", p)
        return f"{p['RouteTableId']}|{p['DestinationCidrBlock']}"

    def delete(self, physical_id, p):
        self.api.delete_route(RouteTableId=p["RouteTableId"], DestinationCidrBlock=p["DestinationCidrBlock"])


class InternetGateway(Ec2):
    type = "AWS::EC2::InternetGateway"
    tagged = "internet-gateway"
    creates = ("create_internet_gateway", "InternetGateway.InternetGatewayId")
    deletes = "delete_internet_gateway"
    key = "InternetGatewayId"


class VpcGatewayAttachment(Ec2):
    type = "AWS::EC2::VPCGatewayAttachment"
    fixed = {"InternetGatewayId", "VpcId"}

    def create(self, unique, p):
        self.call("attach_internet_gateway", p)
        return f"IGW|{p['VpcId']}"

    def delete(self, physical_id, p):
        self.call("detach_internet_gateway", p)


class ElasticIp(Ec2):
    type = "AWS::EC2::EIP"
    tagged = "elastic-ip"
    fixed = {"Domain"}
    creates = ("allocate_address", "PublicIp")
    describes = ("describe_addresses", "PublicIps", "Addresses[0]")
    attributes = {"AllocationId": "AllocationId", "PublicIp": "PublicIp"}

    def delete(self, physical_id, p):
        self.api.release_address(AllocationId=self.attribute(physical_id, "AllocationId"))


class NatGateway(Ec2):
    type = "AWS::EC2::NatGateway"
    tagged = "natgateway"
    fixed = {"AllocationId", "SubnetId"}
    creates = ("create_nat_gateway", "NatGateway.NatGatewayId")
    deletes = "delete_nat_gateway"
    key = "NatGatewayId"


class VpcEndpoint(Ec2):
    type = "AWS::EC2::VPCEndpoint"
    tagged = "vpc-endpoint"
    fixed = {"ServiceName", "VpcEndpointType", "VpcId"}
    creates = ("create_vpc_endpoint", "VpcEndpoint.VpcEndpointId")
    deletes = "delete_vpc_endpoints"
    key = "VpcEndpointIds"


class FlowLog(Ec2):
    type = "AWS::EC2::FlowLog"
    tagged = "vpc-flow-log"
    fixed = {"DeliverLogsPermissionArn", "LogGroupName", "ResourceId", "ResourceType", "TrafficType"}
    renames = {"ResourceId": "ResourceIds"}
    creates = ("create_flow_logs", "FlowLogIds[0]")
    deletes = "delete_flow_logs"
    key = "FlowLogIds"


RULE_TARGETS = {
    "SourceSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "DestinationSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "CidrIp": ("IpRanges", "CidrIp"),
    "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "SourcePrefixListId": ("PrefixListIds", "PrefixListId"),
    "DestinationPrefixListId": ("PrefixListIds", "PrefixListId"),
}


def permission(rule: dict) -> dict:
    """Convert a CloudFormation rule to an EC2 permission."""
    found: dict[str, object] = {"IpProtocol": str(rule["IpProtocol"])}
    found |= {name: int(rule[name]) for name in ("FromPort", "ToPort") if name in rule}
    for name, (member, key) in RULE_TARGETS.items():
        if name in rule:
            target = {key: rule[name]}
            if "Description" in rule:
                target["Description"] = rule["Description"]
            found[member] = [target]
    return found


class SecurityGroup(Ec2):
    type = "AWS::EC2::SecurityGroup"
    tagged = "security-group"
    fixed = {"GroupDescription", "GroupName", "VpcId"}
    renames = {"GroupDescription": "Description"}
    name = ("GroupName", 255)
    creates = ("create_security_group", "GroupId")
    key = "GroupId"
    describes = ("describe_security_groups", "GroupIds", "SecurityGroups[0]")
    attributes = {"GroupId": "GroupId", "VpcId": "VpcId"}

    def create(self, unique, p):
        ingress, egress = p.pop("SecurityGroupIngress", []), p.pop("SecurityGroupEgress", None)
        group = self.make(self.named(unique, p))
        if egress is not None:
            everything = self.describe(group)["IpPermissionsEgress"]
            self.api.revoke_security_group_egress(GroupId=group, IpPermissions=everything)
        self._authorize(group, ingress, egress)
        return group

    def _authorize(self, group, ingress, egress):
        if ingress:
            self.api.authorize_security_group_ingress(GroupId=group, IpPermissions=[*map(permission, ingress)])
        if egress:
            self.api.authorize_security_group_egress(GroupId=group, IpPermissions=[*map(permission, egress)])

    def update(self, physical_id, p, old):
        lists = {"SecurityGroupIngress": "ingress", "SecurityGroupEgress": "egress"}
        for name, direction in lists.items():
            revoke = getattr(self.api, f"revoke_security_group_{direction}")
            for rule in old.get(name, []):
                if rule not in p.get(name, []):
                    revoke(GroupId=physical_id, IpPermissions=[permission(rule)])
        new = [[rule for rule in p.get(name, []) if rule not in old.get(name, [])] for name in lists]
        self._authorize(physical_id, *new)
        return physical_id

    def delete(self, physical_id, p):
        self._refuse_if_used(physical_id)
        self.api.delete_security_group(GroupId=physical_id)

    def _refuse_if_used(self, group):
        for instance in self.client("rds").describe_db_instances()["DBInstances"]:
            if group in [item["VpcSecurityGroupId"] for item in instance["VpcSecurityGroups"]]:
                raise ClientError(
                    {
                        "Error": {
                            "Code": "DependencyViolation",
                            "Message": f"resource {group} has a dependent object: {instance['DBInstanceIdentifier']}",
                        }
                    },
                    "DeleteSecurityGroup",
                )


class SecurityGroupRule(Ec2):
    """A security group rule as a separate resource; its physical id is the rule's id."""

    direction = ""

    def create(self, unique, p):
        authorize = getattr(self.api, f"authorize_security_group_{self.direction}")
        answer = authorize(GroupId=p["GroupId"], IpPermissions=[permission(p)])
        return answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def delete(self, physical_id, p):
        revoke = getattr(self.api, f"revoke_security_group_{self.direction}")
        revoke(GroupId=p["GroupId"], IpPermissions=[permission(p)])


class SecurityGroupIngress(SecurityGroupRule):
    type = "AWS::EC2::SecurityGroupIngress"
    direction = "ingress"
    fixed = {"CidrIp", "FromPort", "GroupId", "IpProtocol", "SourceSecurityGroupId", "ToPort", "Description"}


class SecurityGroupEgress(SecurityGroupRule):
    type = "AWS::EC2::SecurityGroupEgress"
    direction = "egress"
    fixed = {"CidrIp", "FromPort", "GroupId", "IpProtocol", "DestinationSecurityGroupId", "ToPort", "Description"}
