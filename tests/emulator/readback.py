"""Compares the declared properties of each resource with the API's description.

References in the template are resolved a second time, from API descriptions, to detect wrongly resolved ones.
"""

import base64
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import jmespath
from botocore.exceptions import ClientError

ACCOUNT, REGION = "123456789012", "us-east-1"
Describe = Callable[["Stack", str, dict], Any]


@dataclass(frozen=True)
class View:
    """How the API shows one resource type.

    Attributes:
        describe: Queries the API with the stack, physical id and declared properties.
        paths: JMESPath of properties whose name differs.
        attributes: JMESPath of `Fn::GetAtt` attributes whose name differs.
        silent: Properties that the API never returns, and the reason.
    """

    describe: Describe
    paths: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)


def one(service: str, method: str, parameter: str, path: str, *, many: bool = True) -> Describe:
    """Return a function that describes a resource with one API call, which receives the physical id."""

    def describe(stack: "Stack", physical_id: str, _: dict) -> Any:
        argument = [physical_id] if many else physical_id
        return jmespath.search(path, getattr(stack.client(service), method)(**{parameter: argument}))

    return describe


def filtered(service: str, method: str, name: str, path: str) -> Describe:
    """Return a function that describes a resource with one API call, which filters by the physical id."""

    def describe(stack: "Stack", physical_id: str, _: dict) -> Any:
        filters = [{"Name": name, "Values": [physical_id]}]
        return jmespath.search(path, getattr(stack.client(service), method)(Filters=filters))

    return describe


def vpc(stack: "Stack", physical_id: str, _: dict) -> dict:
    """Describe a VPC and its two DNS attributes."""
    ec2 = stack.client("ec2")
    found = ec2.describe_vpcs(VpcIds=[physical_id])["Vpcs"][0]
    for name in ("EnableDnsHostnames", "EnableDnsSupport"):
        attribute = name[0].lower() + name[1:]
        found[name] = ec2.describe_vpc_attribute(VpcId=physical_id, Attribute=attribute)[name]["Value"]
    default = [{"Name": "vpc-id", "Values": [physical_id]}, {"Name": "group-name", "Values": ["default"]}]
    found["DefaultSecurityGroup"] = ec2.describe_security_groups(Filters=default)["SecurityGroups"][0]["GroupId"]
    return found


def route(stack: "Stack", _: str, declared: dict) -> dict | None:
    """Describe a route of a route table."""
    tables = stack.client("ec2").describe_route_tables(RouteTableIds=[declared["RouteTableId"]])["RouteTables"]
    routes = [
        item for item in tables[0]["Routes"] if item.get("DestinationCidrBlock") == declared["DestinationCidrBlock"]
    ]
    return {"RouteTableId": declared["RouteTableId"], **routes[0]} if routes else None


def security_group(stack: "Stack", physical_id: str, declared: dict) -> dict:
    """Describe a security group, without the rules that the template declares as separate resources."""
    ec2 = stack.client("ec2")
    found = ec2.describe_security_groups(GroupIds=[physical_id])["SecurityGroups"][0]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [physical_id]}])
    found["SecurityGroupIngress"], found["SecurityGroupEgress"] = [], []
    for rule in rules["SecurityGroupRules"]:
        if rule["SecurityGroupRuleId"] not in stack.rules_apart:
            found["SecurityGroupEgress" if rule["IsEgress"] else "SecurityGroupIngress"].append(_rule(rule))
    declared.setdefault("SecurityGroupIngress", [])
    return found


def _rule(rule: dict) -> dict:
    shown = {
        name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort", "Description", "CidrIpv6") if name in rule
    }
    if "CidrIpv4" in rule:
        shown["CidrIp"] = rule["CidrIpv4"]
    if "ReferencedGroupInfo" in rule:
        other = "DestinationSecurityGroupId" if rule["IsEgress"] else "SourceSecurityGroupId"
        shown[other] = rule["ReferencedGroupInfo"]["GroupId"]
    return shown


def security_group_rule(stack: "Stack", physical_id: str, _: dict) -> dict:
    """Describe a security group rule that is a separate resource."""
    found = stack.client("ec2").describe_security_group_rules(SecurityGroupRuleIds=[physical_id])
    rule = found["SecurityGroupRules"][0]
    return {"GroupId": rule["GroupId"], **_rule(rule)}


def key(stack: "Stack", physical_id: str, _: dict) -> dict:
    """Describe a KMS key, its policy and its rotation."""
    kms = stack.client("kms")
    found = kms.describe_key(KeyId=physical_id)["KeyMetadata"]
    found["KeyPolicy"] = json.loads(kms.get_key_policy(KeyId=physical_id, PolicyName="default")["Policy"])
    found["EnableKeyRotation"] = kms.get_key_rotation_status(KeyId=physical_id)["KeyRotationEnabled"]
    return found


def bucket(stack: "Stack", name: str, _: dict) -> dict:
    """Describe a bucket, with one call per property."""
    s3 = stack.client("s3")
    rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    encryption = [{re.sub("^Apply", "", setting): value for setting, value in rule.items()} for rule in rules]
    logging = s3.get_bucket_logging(Bucket=name).get("LoggingEnabled", {})
    return {
        "Arn": f"arn:aws:s3:::{name}",
        "BucketEncryption": {"ServerSideEncryptionConfiguration": encryption},
        "PublicAccessBlockConfiguration": s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"],
        "VersioningConfiguration": s3.get_bucket_versioning(Bucket=name),
        "OwnershipControls": _quiet(lambda: s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]),
        "LoggingConfiguration": {
            "DestinationBucketName": logging.get("TargetBucket"),
            "LogFilePrefix": logging.get("TargetPrefix"),
        },
        "LifecycleConfiguration": {"Rules": [*map(_lifecycle, _quiet(lambda: _rules(s3, name)) or [])]},
        "Tags": _quiet(lambda: s3.get_bucket_tagging(Bucket=name)["TagSet"]),
    }


def _rules(s3: Any, name: str) -> list[dict]:
    return s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]


def _lifecycle(rule: dict) -> dict:
    return {
        **rule,
        "Id": rule.get("ID"),
        "Prefix": rule.get("Filter", {}).get("Prefix") or rule.get("Prefix"),
        "ExpirationInDays": rule.get("Expiration", {}).get("Days"),
        "ExpiredObjectDeleteMarker": rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker"),
    }


def _quiet(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ClientError:
        return None


def secret(stack: "Stack", physical_id: str, declared: dict) -> dict:
    """Describe a secret, and check that a generated value matches its declaration."""
    api = stack.client("secretsmanager")
    found = api.describe_secret(SecretId=physical_id)
    value = api.get_secret_value(SecretId=physical_id)["SecretString"]
    how = declared.get("GenerateSecretString")
    if how:
        generated = value
        if "SecretStringTemplate" in how:
            content = json.loads(value)
            generated = content[how["GenerateStringKey"]]
            template = json.loads(how["SecretStringTemplate"])
            assert template.items() <= content.items(), f"{physical_id} lost its template"
        excluded = set(how.get("ExcludeCharacters", ""))
        if how.get("ExcludePunctuation"):
            excluded |= set(r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~""")
        assert not excluded & set(generated), f"{physical_id} has an excluded character"
        found["GenerateSecretString"] = {**how, "PasswordLength": len(generated)}
    found["SecretString"] = value
    return found


def attachment(stack: "Stack", physical_id: str, declared: dict) -> dict:
    """Check that the secret has the endpoint of its database."""
    value = json.loads(stack.client("secretsmanager").get_secret_value(SecretId=physical_id)["SecretString"])
    secret_value = [value["host"], value["port"], value["dbname"], value["username"], value["engine"]]
    rds = stack.client("rds")
    if declared["TargetType"] == "AWS::RDS::DBCluster":
        found = rds.describe_db_clusters(DBClusterIdentifier=value["dbClusterIdentifier"])["DBClusters"][0]
        target, host, port = found["DBClusterIdentifier"], found["Endpoint"], found["Port"]
        names = [found["DatabaseName"], found["MasterUsername"], "postgres"]
        assert found["Engine"] == "aurora-postgresql"
    else:
        found = rds.describe_db_instances(DBInstanceIdentifier=value["dbInstanceIdentifier"])["DBInstances"][0]
        target, host, port = found["DBInstanceIdentifier"], found["Endpoint"]["Address"], found["Endpoint"]["Port"]
        names = [found["DBName"], found["MasterUsername"], found["Engine"]]
    assert secret_value == [host, port, *names]
    return declared | {"SecretId": physical_id, "TargetId": target}


def parameters(service: str, describe: str, values: str, name: str, group: str) -> Describe:
    """Describe a parameter group and its values."""

    def view(stack: "Stack", physical_id: str, declared: dict) -> dict:
        api = stack.client(service)
        found = jmespath.search(group, getattr(api, describe)(**{name: physical_id}))
        items = getattr(api, values)(**{name: physical_id})["Parameters"]
        found["Set"] = {item["ParameterName"]: item["ParameterValue"] for item in items if "ParameterValue" in item}
        return found

    return view


def replication_group(stack: "Stack", physical_id: str, _: dict) -> dict:
    """Describe a replication group, and check that its nodes are equal."""
    api = stack.client("elasticache")
    found = api.describe_replication_groups(ReplicationGroupId=physical_id)["ReplicationGroups"][0]
    first, *others = (
        {
            "CacheParameterGroupName": node["CacheParameterGroup"]["CacheParameterGroupName"],
            "CacheSubnetGroupName": node["CacheSubnetGroupName"],
            "EngineVersion": node["EngineVersion"],
            "SecurityGroupIds": [group["SecurityGroupId"] for group in node["SecurityGroups"]],
        }
        for name in found["MemberClusters"]
        for node in api.describe_cache_clusters(CacheClusterId=name)["CacheClusters"]
    )
    assert all(other == first for other in others)
    return found | first


def log_group(stack: "Stack", name: str, _: dict) -> dict:
    """Describe a log group and its tags."""
    logs = stack.client("logs")
    found = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]
    tags = logs.list_tags_for_resource(resourceArn=found["arn"].removesuffix(":*"))["tags"]
    return {**found, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def metric_filter(stack: "Stack", name: str, declared: dict) -> dict:
    """Describe a metric filter of a log group."""
    return stack.client("logs").describe_metric_filters(logGroupName=declared["LogGroupName"], filterNamePrefix=name)[
        "metricFilters"
    ][0]


def topic(stack: "Stack", arn: str, _: dict) -> dict:
    """Describe an SNS topic."""
    return stack.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]


def topic_policy(stack: "Stack", _: str, declared: dict) -> dict:
    """Describe the policy of the topics."""
    policies = [json.loads(topic(stack, arn, {})["Policy"]) for arn in declared["Topics"]]
    assert all(each == policies[0] for each in policies)
    return {"Topics": declared["Topics"], "PolicyDocument": policies[0]}


def event_rule(stack: "Stack", name: str, _: dict) -> dict:
    """Describe an event rule and its targets."""
    events = stack.client("events")
    found = events.describe_rule(Name=name)
    pattern = json.loads(found["EventPattern"])
    return {**found, "EventPattern": pattern, "Targets": events.list_targets_by_rule(Rule=name)["Targets"]}


def dashboard(stack: "Stack", name: str, _: dict) -> dict:
    """Describe a dashboard."""
    return stack.client("cloudwatch").get_dashboard(DashboardName=name)


def queue(stack: "Stack", url: str, _: dict) -> dict:
    """Describe a queue's attributes."""
    found = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = {name: json.loads(found[name]) for name in ("RedrivePolicy",) if name in found}
    return {**found, **redrive, "Arn": found["QueueArn"], "QueueName": url.rpartition("/")[2]}


def table(stack: "Stack", name: str, _: dict) -> dict:
    """Describe a DynamoDB table and its time to live."""
    dynamodb = stack.client("dynamodb")
    found = dynamodb.describe_table(TableName=name)["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    encryption = found["SSEDescription"]
    return {
        **found,
        "Arn": found["TableArn"],
        "BillingMode": found["BillingModeSummary"]["BillingMode"],
        "SSESpecification": {
            "KMSMasterKeyId": encryption["KMSMasterKeyArn"],
            "SSEEnabled": encryption["Status"] == "ENABLED",
            "SSEType": encryption["SSEType"],
        },
        "TimeToLiveSpecification": {
            "AttributeName": expiry["AttributeName"],
            "Enabled": expiry["TimeToLiveStatus"] == "ENABLED",
        },
    }


def policy(stack: "Stack", name: str, declared: dict) -> dict:
    """Describe an inline policy, and check that it is equal in each role."""
    iam = stack.client("iam")
    documents = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for role in declared["Roles"]]
    assert all(document == documents[0] for document in documents)
    return {"PolicyName": name, "Roles": declared["Roles"], "PolicyDocument": documents[0]}


def role(stack: "Stack", name: str, declared: dict) -> dict:
    """Describe a role, its managed policies and the inline policies that it declares."""
    iam = stack.client("iam")
    found = iam.get_role(RoleName=name)["Role"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    found["ManagedPolicyArns"] = [item["PolicyArn"] for item in attached]
    found["Policies"] = [
        {"PolicyName": item["PolicyName"], **iam.get_role_policy(RoleName=name, PolicyName=item["PolicyName"])}
        for item in declared.get("Policies", [])
    ]
    declared.setdefault("ManagedPolicyArns", [])
    return found


def load_balancer(stack: "Stack", arn: str, _: dict) -> dict:
    """Describe a load balancer and its attributes."""
    elb = stack.client("elbv2")
    found = elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
    found["LoadBalancerFullName"] = arn.partition(":loadbalancer/")[2]
    found["LoadBalancerAttributes"] = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    return found


def listener(stack: "Stack", arn: str, _: dict) -> dict:
    """Describe a listener and its attributes."""
    elb = stack.client("elbv2")
    found = elb.describe_listeners(ListenerArns=[arn])["Listeners"][0]
    found["ListenerAttributes"] = elb.describe_listener_attributes(ListenerArn=arn)["Attributes"]
    return found


def scalable_target(stack: "Stack", _: str, declared: dict) -> dict:
    """Describe a scalable target and its scheduled actions."""
    scaling, names = stack.client("application-autoscaling"), ("ServiceNamespace", "ScalableDimension")
    where = {name: declared[name] for name in names}
    (found,) = scaling.describe_scalable_targets(**where, ResourceIds=[declared["ResourceId"]])["ScalableTargets"]
    actions = scaling.describe_scheduled_actions(**where, ResourceId=declared["ResourceId"])["ScheduledActions"]
    return {**found, "ScheduledActions": actions}


def scaling_policy(stack: "Stack", arn: str, declared: dict) -> dict | None:
    """Describe a scaling policy of the declared target."""
    resource, dimension, namespace = declared["ScalingTargetId"].split("|")
    where = {"ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": namespace}
    found = stack.client("application-autoscaling").describe_scaling_policies(**where)["ScalingPolicies"]
    return next((each for each in found if each["PolicyARN"] == arn), None)


def target_group(stack: "Stack", arn: str, _: dict) -> dict:
    """Describe a target group and its attributes."""
    elb = stack.client("elbv2")
    found = elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]
    found["TargetGroupFullName"] = arn.rpartition(":")[2]
    found["TargetGroupAttributes"] = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    return found


def service(stack: "Stack", arn: str, declared: dict) -> dict:
    """Describe an ECS service."""
    found = stack.client("ecs").describe_services(cluster=declared["Cluster"], services=[arn], include=["TAGS"])
    shown = found["services"][0]
    return {**shown, "Cluster": shown["clusterArn"].rsplit("/", 1)[-1]}


def task_definition(stack: "Stack", arn: str, _: dict) -> dict:
    """Describe a task definition and its tags."""
    found = stack.client("ecs").describe_task_definition(taskDefinition=arn, include=["TAGS"])
    return {**found["taskDefinition"], "tags": found.get("tags", [])}


def file_system(stack: "Stack", physical_id: str, _: dict) -> dict:
    """Describe an EFS file system, its policy and its backup policy."""
    efs = stack.client("efs")
    found = efs.describe_file_systems(FileSystemId=physical_id)["FileSystems"][0]
    found["Arn"] = found["FileSystemArn"]
    found["BackupPolicy"] = efs.describe_backup_policy(FileSystemId=physical_id)["BackupPolicy"]
    found["FileSystemPolicy"] = json.loads(efs.describe_file_system_policy(FileSystemId=physical_id)["Policy"])
    return found


def mount_target(stack: "Stack", physical_id: str, _: dict) -> dict:
    """Describe an EFS mount target and its security groups."""
    efs = stack.client("efs")
    found = efs.describe_mount_targets(MountTargetId=physical_id)["MountTargets"][0]
    groups = efs.describe_mount_target_security_groups(MountTargetId=physical_id)["SecurityGroups"]
    return {**found, "SecurityGroups": groups}


def certificate(stack: "Stack", arn: str, _: dict) -> dict:
    """Describe a certificate and its tags."""
    acm = stack.client("acm")
    found = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    return {**found, "Tags": acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]}


def record_set(stack: "Stack", _: str, declared: dict) -> dict:
    """Describe a DNS record in a zone that exists outside the stack."""
    zone = declared["HostedZoneId"]
    records = stack.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    (found,) = (item for item in records if (item["Name"], item["Type"]) == (declared["Name"], declared["Type"]))
    return {**found, "HostedZoneId": zone}


def layer(stack: "Stack", arn: str, declared: dict) -> dict:
    """Describe a Lambda layer and check the hash of its archive."""
    name, version = arn.split(":layer:")[1].split(":")
    found = stack.client("lambda").get_layer_version(LayerName=name, VersionNumber=int(version))
    content = declared["Content"]
    archive = stack.client("s3").get_object(Bucket=content["S3Bucket"], Key=content["S3Key"])["Body"].read()
    shown = found["Content"]["CodeSha256"]
    assert shown == base64.b64encode(hashlib.sha256(archive).digest()).decode(), f"{arn} has another archive"
    return {**found, "Content": content}


def bucket_deployment(stack: "Stack", _: str, declared: dict) -> dict:
    """Check that the bucket has the files of the archives and, if the upload prunes, no others."""
    s3, bucket = stack.client("s3"), declared["DestinationBucketName"]
    prefix = f"{declared['DestinationBucketKeyPrefix']}/" if "DestinationBucketKeyPrefix" in declared else ""
    sent = {}
    for source, name in zip(declared["SourceBucketNames"], declared["SourceObjectKeys"], strict=True):
        with zipfile.ZipFile(io.BytesIO(s3.get_object(Bucket=source, Key=name)["Body"].read())) as archive:
            sent |= {prefix + file: archive.read(file) for file in archive.namelist() if not file.endswith("/")}
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = {item["Key"] for page in pages for item in page.get("Contents", [])}
    keys = found if declared["Prune"] else found & sent.keys()
    assert sent, f"nothing to upload to {bucket}"
    held = {name: s3.get_object(Bucket=bucket, Key=name)["Body"].read() for name in keys}
    wrong = sorted(name for name in {*held, *sent} if held.get(name) != sent.get(name))
    assert not wrong, f"{bucket} holds others than were sent: {wrong}"
    return declared


def custom(stack: "Stack", physical_id: str, declared: dict) -> dict:
    """Return the declared properties without a check, because the tests of the migration gate check this resource."""
    return declared


VIEWS: dict[str, View] = {
    "AWS::EC2::VPC": View(vpc),
    "AWS::EC2::Subnet": View(one("ec2", "describe_subnets", "SubnetIds", "Subnets[0]")),
    "AWS::EC2::RouteTable": View(one("ec2", "describe_route_tables", "RouteTableIds", "RouteTables[0]")),
    "AWS::EC2::SubnetRouteTableAssociation": View(
        filtered(
            "ec2",
            "describe_route_tables",
            "association.route-table-association-id",
            "RouteTables[0].Associations[0]",
        )
    ),
    "AWS::EC2::Route": View(route),
    "AWS::EC2::InternetGateway": View(
        one("ec2", "describe_internet_gateways", "InternetGatewayIds", "InternetGateways[0]")
    ),
    "AWS::EC2::VPCGatewayAttachment": View(
        lambda stack, _, declared: jmespath.search(
            "InternetGateways[0].{InternetGatewayId: InternetGatewayId, VpcId: Attachments[0].VpcId}",
            stack.client("ec2").describe_internet_gateways(InternetGatewayIds=[declared["InternetGatewayId"]]),
        )
    ),
    "AWS::EC2::EIP": View(one("ec2", "describe_addresses", "PublicIps", "Addresses[0]")),
    "AWS::EC2::NatGateway": View(
        one("ec2", "describe_nat_gateways", "NatGatewayIds", "NatGateways[0]"),
        {"AllocationId": "NatGatewayAddresses[0].AllocationId"},
    ),
    "AWS::EC2::VPCEndpoint": View(one("ec2", "describe_vpc_endpoints", "VpcEndpointIds", "VpcEndpoints[0]")),
    "AWS::EC2::FlowLog": View(
        one("ec2", "describe_flow_logs", "FlowLogIds", "FlowLogs[0]"),
        silent={"ResourceType": "the resource's id says it"},
    ),
    "AWS::EC2::SecurityGroup": View(security_group, {"GroupDescription": "Description"}),
    "AWS::EC2::SecurityGroupIngress": View(security_group_rule),
    "AWS::EC2::SecurityGroupEgress": View(security_group_rule),
    "AWS::KMS::Key": View(key),
    "AWS::Logs::LogGroup": View(log_group),
    "AWS::Logs::MetricFilter": View(metric_filter),
    "AWS::SNS::Topic": View(topic),
    "AWS::SNS::TopicPolicy": View(topic_policy),
    "AWS::SNS::Subscription": View(
        one("sns", "get_subscription_attributes", "SubscriptionArn", "Attributes", many=False)
    ),
    "AWS::Events::Rule": View(event_rule),
    "AWS::CloudWatch::Alarm": View(
        one("cloudwatch", "describe_alarms", "AlarmNames", "MetricAlarms[0]"), attributes={"Arn": "AlarmArn"}
    ),
    "AWS::CloudWatch::Dashboard": View(dashboard),
    "AWS::S3::Bucket": View(bucket),
    "AWS::S3::BucketPolicy": View(
        lambda stack, name, _: {
            "Bucket": name,
            "PolicyDocument": json.loads(stack.client("s3").get_bucket_policy(Bucket=name)["Policy"]),
        }
    ),
    "AWS::ApplicationAutoScaling::ScalableTarget": View(scalable_target),
    "AWS::ApplicationAutoScaling::ScalingPolicy": View(
        scaling_policy, silent={"ScalingTargetId": "ResourceId, ScalableDimension and ServiceNamespace replace it"}
    ),
    "AWS::SQS::Queue": View(queue),
    "AWS::Scheduler::Schedule": View(one("scheduler", "get_schedule", "Name", "@", many=False)),
    "AWS::SQS::QueuePolicy": View(
        lambda stack, _, declared: (
            declared | {"PolicyDocument": json.loads(queue(stack, declared["Queues"][0], {})["Policy"])}
        )
    ),
    "AWS::DynamoDB::Table": View(table),
    "AWS::SecretsManager::Secret": View(secret),
    "AWS::SecretsManager::SecretTargetAttachment": View(attachment),
    "AWS::RDS::DBSubnetGroup": View(
        one("rds", "describe_db_subnet_groups", "DBSubnetGroupName", "DBSubnetGroups[0]", many=False),
        {"SubnetIds": "Subnets[].SubnetIdentifier"},
    ),
    "AWS::RDS::DBParameterGroup": View(
        parameters(
            "rds",
            "describe_db_parameter_groups",
            "describe_db_parameters",
            "DBParameterGroupName",
            "DBParameterGroups[0]",
        ),
        {"Family": "DBParameterGroupFamily", "Parameters": "Set"},
    ),
    "AWS::RDS::DBClusterParameterGroup": View(
        parameters(
            "rds",
            "describe_db_cluster_parameter_groups",
            "describe_db_cluster_parameters",
            "DBClusterParameterGroupName",
            "DBClusterParameterGroups[0]",
        ),
        {"Family": "DBParameterGroupFamily", "Parameters": "Set"},
    ),
    "AWS::RDS::DBCluster": View(
        one("rds", "describe_db_clusters", "DBClusterIdentifier", "DBClusters[0]", many=False),
        {
            "DBClusterParameterGroupName": "DBClusterParameterGroup",
            "DBSubnetGroupName": "DBSubnetGroup",
            "EnableCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
            "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
            "VpcSecurityGroupIds": "VpcSecurityGroups[].VpcSecurityGroupId",
        },
        {"Endpoint.Address": "Endpoint", "Endpoint.Port": "Port"},
        silent={
            "MasterUserPassword": "a password",
            "DeleteAutomatedBackups": "an argument of the deletion",
        },
    ),
    "AWS::RDS::DBInstance": View(
        one("rds", "describe_db_instances", "DBInstanceIdentifier", "DBInstances[0]", many=False),
        {
            "DBParameterGroupName": "DBParameterGroups[0].DBParameterGroupName",
            "DBSubnetGroupName": "DBSubnetGroup.DBSubnetGroupName",
            "EnableCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
            "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
            "VPCSecurityGroups": "VpcSecurityGroups[].VpcSecurityGroupId",
            "Port": "Endpoint.Port",
        },
        silent={
            "MasterUserPassword": "a password",
            "DeleteAutomatedBackups": "an argument of the deletion",
        },
    ),
    "AWS::ElastiCache::SubnetGroup": View(
        one("elasticache", "describe_cache_subnet_groups", "CacheSubnetGroupName", "CacheSubnetGroups[0]", many=False),
        {"Description": "CacheSubnetGroupDescription", "SubnetIds": "Subnets[].SubnetIdentifier"},
    ),
    "AWS::ElastiCache::ParameterGroup": View(
        parameters(
            "elasticache",
            "describe_cache_parameter_groups",
            "describe_cache_parameters",
            "CacheParameterGroupName",
            "CacheParameterGroups[0]",
        ),
        {"Properties": "Set"},
    ),
    "AWS::ElastiCache::ReplicationGroup": View(
        replication_group,
        {
            "ReplicationGroupDescription": "Description",
            "AutomaticFailoverEnabled": "AutomaticFailover == 'enabled'",
            "MultiAZEnabled": "MultiAZ == 'enabled'",
            "NumCacheClusters": "length(MemberClusters)",
            "Port": "NodeGroups[0].PrimaryEndpoint.Port",
        },
        {
            "PrimaryEndPoint.Address": "NodeGroups[0].PrimaryEndpoint.Address",
            "PrimaryEndPoint.Port": "NodeGroups[0].PrimaryEndpoint.Port",
        },
        silent={
            "AuthToken": "a password; AuthTokenEnabled says that there is one",
        },
    ),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": View(
        one("servicediscovery", "get_namespace", "Id", "Namespace", many=False),
        silent={"Vpc": "Cloud Map does not show it"},
    ),
    "AWS::ServiceDiscovery::Service": View(one("servicediscovery", "get_service", "Id", "Service", many=False)),
    "AWS::ECS::Cluster": View(
        one("ecs", "describe_clusters", "clusters", "clusters[0]"),
        {"ClusterSettings": "settings"},
        {"Arn": "clusterArn"},
    ),
    "AWS::ECS::CapacityProvider": View(
        one("ecs", "describe_capacity_providers", "capacityProviders", "capacityProviders[0]"),
        {"ClusterName": "cluster"},
    ),
    "AWS::ECS::ClusterCapacityProviderAssociations": View(
        one("ecs", "describe_clusters", "clusters", "clusters[0]"), {"Cluster": "clusterName"}
    ),
    "AWS::EFS::FileSystem": View(file_system),
    "AWS::EFS::MountTarget": View(mount_target),
    "AWS::EFS::AccessPoint": View(
        one("efs", "describe_access_points", "AccessPointId", "AccessPoints[0]", many=False),
        attributes={"Arn": "AccessPointArn"},
    ),
    "AWS::ECS::TaskDefinition": View(task_definition),
    "AWS::ECS::Service": View(service, attributes={"Name": "serviceName"}),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": View(load_balancer, {"Subnets": "AvailabilityZones[].SubnetId"}),
    "AWS::ElasticLoadBalancingV2::Listener": View(listener),
    "AWS::ElasticLoadBalancingV2::ListenerRule": View(
        one("elbv2", "describe_rules", "RuleArns", "Rules[0]"), silent={"ListenerArn": "part of the rule's ARN"}
    ),
    "AWS::ElasticLoadBalancingV2::TargetGroup": View(target_group),
    "AWS::IAM::Role": View(role),
    "AWS::IAM::InstanceProfile": View(
        one("iam", "get_instance_profile", "InstanceProfileName", "InstanceProfile", many=False),
        {"Roles": "Roles[].RoleName"},
    ),
    "AWS::IAM::Policy": View(policy),
    "AWS::Lambda::Function": View(
        one("lambda", "get_function", "FunctionName", "Configuration", many=False),
        {"Layers": "Layers[].Arn"},
        attributes={"Arn": "FunctionArn"},
        silent={"Code": "its handler runs"},
    ),
    "AWS::Lambda::LayerVersion": View(layer),
    "AWS::CertificateManager::Certificate": View(
        certificate,
        {"ValidationMethod": "DomainValidationOptions[0].ValidationMethod"},
        silent={"DomainValidationOptions": "the zone in which CloudFormation proves whose the name is"},
    ),
    "AWS::Route53::RecordSet": View(record_set),
    "Custom::AirflowMigration": View(custom),
    "Custom::CDKBucketDeployment": View(bucket_deployment),
    "Custom::S3AutoDeleteObjects": View(custom),
    "Custom::VpcRestrictDefaultSG": View(custom),
}


class Stack:
    """A deployed stack with its resources and its template, resolved from the API."""

    def __init__(self, client: Callable[[str], Any], name: str):
        self.client = client
        self.name = name
        cloudformation = client("cloudformation")
        template = cloudformation.get_template(StackName=name)["TemplateBody"]
        self.template = template if isinstance(template, dict) else json.loads(template)
        self.bodies = self.template["Resources"]
        resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        self.ids = {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources}
        self.id = resources[0]["StackId"]

    @cached_property
    def rules_apart(self) -> set[str]:
        """Return the ids of security group rules that any stack declares as separate resources."""
        cloudformation = self.client("cloudformation")
        return {
            item["PhysicalResourceId"]
            for stack in cloudformation.describe_stacks()["Stacks"]
            for item in cloudformation.describe_stack_resources(StackName=stack["StackName"])["StackResources"]
            if item["ResourceType"] in ("AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")
        }

    def images(self) -> set[str]:
        """Return the images in the stack's task definitions."""
        ecs = self.client("ecs")
        return {
            container["image"]
            for name, body in self.bodies.items()
            if body["Type"] == "AWS::ECS::TaskDefinition"
            for container in ecs.describe_task_definition(taskDefinition=self.ids[name])["taskDefinition"][
                "containerDefinitions"
            ]
        }

    def declared(self, logical_id: str) -> dict:
        """Return the resolved properties of a resource."""
        return self.resolve(self.bodies[logical_id].get("Properties", {}))

    @lru_cache  # noqa: B019 (each stack is read once)
    def _seen(self, logical_id: str) -> Any:
        return self.described(logical_id, self.declared(logical_id))

    def described(self, logical_id: str, declared: dict) -> Any:
        """Return the API's description of a resource."""
        return VIEWS[self.bodies[logical_id]["Type"]].describe(self, self.ids[logical_id], declared)

    def resolve(self, value: Any) -> Any:  # noqa: PLR0911 (one per function)
        """Resolve intrinsic functions."""
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return self._ref(argument)
            if name == "Fn::GetAtt":
                return self._attribute(*argument)
            if name == "Fn::Join":
                return argument[0].join(map(str, self.resolve(argument[1])))
            if name == "Fn::Select":
                return self.resolve(argument[1])[int(argument[0])]
            if name == "Fn::Split":
                return self.resolve(argument[1]).split(argument[0])
            if name == "Fn::GetAZs":
                zones = self.client("ec2").describe_availability_zones()["AvailabilityZones"]
                return [zone["ZoneName"] for zone in zones]
            if name == "Fn::ImportValue":
                exports = self.client("cloudformation").list_exports()["Exports"]
                return {item["Name"]: item["Value"] for item in exports}[argument]
            if name == "Fn::Sub":
                return re.sub(r"\$\{(.+?)\}", lambda match: str(self._ref(match[1])), argument)
            assert not name.startswith("Fn::"), f"{name} is new to the comparison"
        return {key: self.resolve(item) for key, item in value.items()}

    def _ref(self, name: str) -> str:
        pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackId": self.id,
            "AWS::StackName": self.name,
            "AWS::URLSuffix": "amazonaws.com",
        }
        return pseudo[name] if name in pseudo else self.ids[name]

    def exists(self, logical_id: str) -> bool:
        """Return whether a resource exists."""
        try:
            found = self.described(logical_id, self.declared(logical_id))
        except (ClientError, AssertionError, TypeError, KeyError, IndexError):
            return False
        state = str(member(found, "Status") or member(found, "State") or member(found, "KeyState")) if found else ""
        return bool(found) and state.lower() not in ("inactive", "deleted", "pendingdeletion", "draining")

    def _attribute(self, logical_id: str, name: str) -> Any:
        view = VIEWS[self.bodies[logical_id]["Type"]]
        found = self._seen(logical_id)
        value = jmespath.search(view.attributes.get(name, name), found)
        if value is None and isinstance(found, dict):
            value = {key.lower(): item for key, item in found.items()}.get(name.lower())
        assert value is not None, f"{logical_id}.{name} is new to the comparison"
        return value

    def differences(self, logical_id: str) -> Iterator[str]:
        """Yield the declared properties that differ in the API."""
        kind = self.bodies[logical_id]["Type"]
        if kind == "AWS::CDK::Metadata":
            return
        view, declared = VIEWS[kind], self.declared(logical_id)
        described = self.described(logical_id, declared)
        if not described:
            yield f"{logical_id} does not exist"
            return
        for name, value in declared.items():
            if name in view.silent:
                continue
            shown = jmespath.search(view.paths[name], described) if name in view.paths else member(described, name)
            yield from compare(value, shown, f"{logical_id}.{name}")


def member(value: Any, name: str) -> Any:
    """Return a member of a description, ignoring case."""
    return next((item for key, item in value.items() if key.lower() == name.lower()), None)


UNORDERED = ("Subnets", "SubnetIds", "SecurityGroups", "SecurityGroupIds", "RouteTableIds", "ManagedPolicyArns")


def compare(declared: Any, shown: Any, where: str) -> Iterator[str]:
    """Yield each declared value that the description lacks; additional values in the description are defaults."""
    if isinstance(declared, dict) and isinstance(shown, dict):
        for name, value in declared.items():
            yield from compare(value, member(shown, name), f"{where}.{name}")
    elif isinstance(declared, list) and isinstance(shown, list):
        if len(declared) != len(shown) and not where.endswith("Attributes"):
            yield f"{where}: {len(declared)} declared, {len(shown)} shown: {declared} {shown}"
        elif where.endswith(UNORDERED) or any(isinstance(item, dict) for item in declared):
            for number, item in enumerate(declared):
                found = [list(compare(item, other, f"{where}[{number}]")) for other in shown]
                if all(found):
                    yield min(found, key=len)[0]
        else:
            for number, (item, other) in enumerate(zip(declared, shown, strict=True)):
                yield from compare(item, other, f"{where}[{number}]")
    elif text(declared) != text(shown):
        yield f"{where}: declared {declared!r}, shown {shown!r}"


def text(value: Any) -> str:
    """Return a scalar as text, because CloudFormation accepts numbers and booleans as strings."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
