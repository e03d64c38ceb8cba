"""Log groups, buckets, secrets, queues, tables and file systems."""

# ruff: noqa: D101, D102 (a type is its name, and each method is described by `Resource`)

import json
import re

from .resources import Resource, Unsupported, shorten


class LogGroup(Resource):
    type = "AWS::Logs::LogGroup"
    service = "logs"
    fixed = {"LogGroupName", "LogGroupClass"}
    name = ("LogGroupName", 512)
    deletes = "delete_log_group"
    key = "logGroupName"
    describes = ("describe_log_groups", "logGroupNamePrefix", "logGroups[0]")
    attributes = {"Arn": "arn"}

    def create(self, unique, p):
        p = self.named(unique, p)
        days = p.pop("RetentionInDays", None)
        self.call("create_log_group", p)
        if days:
            self.api.put_retention_policy(logGroupName=p["LogGroupName"], retentionInDays=int(days))
        return p["LogGroupName"]

    def update(self, physical_id, p, old):
        self.api.put_retention_policy(logGroupName=physical_id, retentionInDays=int(p["RetentionInDays"]))
        return physical_id


class Bucket(Resource):
    """A bucket, configured with one call per property."""

    type = "AWS::S3::Bucket"
    service = "s3"
    fixed = {"BucketName"}
    name = ("BucketName", 63)

    def create(self, unique, p):
        bucket = self.named(unique, p)["BucketName"] = self.named(unique, p)["BucketName"].lower()
        self.api.create_bucket(Bucket=bucket)
        self._configure(bucket, p)
        return bucket

    def _configure(self, bucket, p):
        for name, value in p.items():
            if name != "BucketName":
                method, parameters = self._setting(name, value)
                self.call(method, {"Bucket": bucket, **parameters})

    def _setting(self, name, value):
        if name == "BucketEncryption":
            rules = [
                {
                    {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}.get(key, key): item
                    for key, item in rule.items()
                }
                for rule in value["ServerSideEncryptionConfiguration"]
            ]
            return "put_bucket_encryption", {"ServerSideEncryptionConfiguration": {"Rules": rules}}
        if name == "LifecycleConfiguration":
            rules = [self._lifecycle(rule) for rule in value["Rules"]]
            return "put_bucket_lifecycle_configuration", {"LifecycleConfiguration": {"Rules": rules}}
        if name == "LoggingConfiguration":
            target = {"TargetBucket": value["DestinationBucketName"], "TargetPrefix": value.get("LogFilePrefix", "")}
            return "put_bucket_logging", {"BucketLoggingStatus": {"LoggingEnabled": target}}
        if name == "AccessControl":
            return "put_bucket_acl", {"ACL": re.sub(r"(?<!^)(?=[A-Z])", "-", value).lower()}
        calls = {
            "PublicAccessBlockConfiguration": ("put_public_access_block", name, value),
            "VersioningConfiguration": ("put_bucket_versioning", name, value),
            "OwnershipControls": ("put_bucket_ownership_controls", name, value),
            "Tags": ("put_bucket_tagging", "Tagging", {"TagSet": value}),
        }
        if name not in calls:
            raise Unsupported(f"Property {name} of {self.type} is not supported")
        method, parameter, argument = calls[name]
        return method, {parameter: argument}

    @staticmethod
    def _lifecycle(rule):
        rule = dict(rule)
        found = {"ID": rule.pop("Id", "rule"), "Filter": {"Prefix": rule.pop("Prefix", "")}}
        days = rule.pop("ExpirationInDays", None)
        if days:
            found["Expiration"] = {"Days": days}
        noncurrent = rule.pop("NoncurrentVersionExpirationInDays", None)
        if noncurrent:
            found["NoncurrentVersionExpiration"] = {"NoncurrentDays": noncurrent}
        if rule.pop("ExpiredObjectDeleteMarker", False):
            found.setdefault("Expiration", {})["ExpiredObjectDeleteMarker"] = True
        return found | rule

    def update(self, physical_id, p, old):
        if set(old) - set(p):
            raise Unsupported(f"{self.type}: removing {sorted(set(old) - set(p))} is not supported")
        self._configure(physical_id, {name: value for name, value in p.items() if old.get(name) != value})
        return physical_id

    def delete(self, physical_id, p):
        self.api.delete_bucket(Bucket=physical_id)

    def attribute(self, physical_id, name):
        domains = {
            "Arn": f"arn:aws:s3:::{physical_id}",
            "DomainName": f"{physical_id}.s3.amazonaws.com",
            "RegionalDomainName": f"{physical_id}.s3.{self.account.region}.amazonaws.com",
        }
        if name not in domains:
            raise Unsupported(f"Attribute {name} of {self.type} is not supported")
        return domains[name]


class BucketPolicy(Resource):
    type = "AWS::S3::BucketPolicy"
    service = "s3"
    fixed = {"Bucket"}
    renames = {"PolicyDocument": "Policy"}

    def create(self, unique, p):
        self.call("put_bucket_policy", p)
        return p["Bucket"]

    def update(self, physical_id, p, old):
        return self.create("", p)

    def delete(self, physical_id, p):
        self.api.delete_bucket_policy(Bucket=p["Bucket"])


class Secret(Resource):
    type = "AWS::SecretsManager::Secret"
    service = "secretsmanager"
    fixed = {"Name"}
    name = ("Name", 255)
    creates = ("create_secret", "ARN")
    key = "SecretId"
    describes = ("describe_secret", "SecretId", "@")
    attributes = {"Id": "ARN"}

    def create(self, unique, p):
        return self.make(self.named(unique, self._generated(p)))

    def _generated(self, p):
        how = p.pop("GenerateSecretString", None)
        if how is None:
            return p
        template, key = how.pop("SecretStringTemplate", None), how.pop("GenerateStringKey", None)
        password = self.call("get_random_password", how)["RandomPassword"]
        p["SecretString"] = json.dumps({**json.loads(template), key: password}) if template else password
        return p

    def update(self, physical_id, p, old):
        changed = {name: value for name, value in p.items() if old.get(name) != value and name != "Tags"}
        self.call("update_secret", {"SecretId": physical_id, **self._generated(changed)})
        return physical_id

    def delete(self, physical_id, p):
        self.api.delete_secret(SecretId=physical_id, ForceDeleteWithoutRecovery=True)


class SecretTargetAttachment(Resource):
    """Adds the address of a database to its secret."""

    type = "AWS::SecretsManager::SecretTargetAttachment"
    service = "secretsmanager"
    fixed = {"SecretId", "TargetId", "TargetType"}

    def create(self, unique, p):
        secret = p["SecretId"]
        value = json.loads(self.api.get_secret_value(SecretId=secret)["SecretString"])
        value |= self._target(p["TargetType"], p["TargetId"])
        self.api.put_secret_value(SecretId=secret, SecretString=json.dumps(value))
        return self.api.describe_secret(SecretId=secret)["ARN"]

    def _target(self, kind, identifier):
        rds = self.client("rds")
        if kind == "AWS::RDS::DBInstance":
            found = rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]
            host, port = found["Endpoint"]["Address"], found["Endpoint"]["Port"]
            names = {"dbInstanceIdentifier": identifier, "dbname": found.get("DBName")}
        elif kind == "AWS::RDS::DBCluster":
            found = rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]
            host, port = found["Endpoint"], found["Port"]
            names = {"dbClusterIdentifier": identifier, "dbname": found.get("DatabaseName")}
        else:
            raise Unsupported(f"Attaching a secret to {kind} is not supported")
        where = {"engine": found["Engine"].removeprefix("aurora-").replace("postgresql", "postgres")}
        where |= {"host": host, "port": port, **names}
        return {name: value for name, value in where.items() if value is not None}

    def delete(self, physical_id, p):
        """Do nothing: the AWS::SecretsManager::Secret deletes the secret."""


class Queue(Resource):
    type = "AWS::SQS::Queue"
    service = "sqs"
    fixed = {"QueueName", "FifoQueue"}
    name = ("QueueName", 80)
    deletes = "delete_queue"
    key = "QueueUrl"

    def create(self, unique, p):
        name, tags = self.named(unique, p).pop("QueueName"), p.pop("Tags", [])
        values = {"Attributes": p, "tags": tags} if tags else {"Attributes": p}
        return self.call("create_queue", {"QueueName": name, **values})["QueueUrl"]

    def update(self, physical_id, p, old):
        self.call("set_queue_attributes", {"QueueUrl": physical_id, "Attributes": p})
        return physical_id

    def attribute(self, physical_id, name):
        names = {"Arn": "QueueArn"}
        if name == "QueueName":
            return physical_id.rsplit("/", 1)[-1]
        if name not in names:
            raise Unsupported(f"Attribute {name} of {self.type} is not supported")
        return self.api.get_queue_attributes(QueueUrl=physical_id, AttributeNames=["All"])["Attributes"][names[name]]


class QueuePolicy(Resource):
    type = "AWS::SQS::QueuePolicy"
    service = "sqs"

    def create(self, unique, p):
        for queue in p["Queues"]:
            self.call("set_queue_attributes", {"QueueUrl": queue, "Attributes": {"Policy": p["PolicyDocument"]}})
        return unique

    def update(self, physical_id, p, old):
        self.create("", p)
        return physical_id

    def delete(self, physical_id, p):
        for queue in p["Queues"]:
            self.api.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})


class Table(Resource):
    type = "AWS::DynamoDB::Table"
    service = "dynamodb"
    fixed = {"TableName", "KeySchema"}
    name = ("TableName", 255)
    creates = ("create_table", "TableDescription.TableName")
    deletes = "delete_table"
    key = "TableName"
    describes = ("describe_table", "TableName", "Table")
    attributes = {"Arn": "TableArn"}

    def create(self, unique, p):
        later = {name: p.pop(name, None) for name in ("TimeToLiveSpecification", "PointInTimeRecoverySpecification")}
        if "SSESpecification" in p:
            p["SSESpecification"] = {
                {"SSEEnabled": "Enabled"}.get(key, key): value for key, value in p["SSESpecification"].items()
            }
        table = self.make(self.named(unique, p))
        calls = ("update_time_to_live", "update_continuous_backups")
        for method, (name, value) in zip(calls, later.items(), strict=True):
            if value:
                self.call(method, {"TableName": table, name: value})
        return table


class FileSystem(Resource):
    type = "AWS::EFS::FileSystem"
    service = "efs"
    fixed = {"Encrypted", "KmsKeyId", "PerformanceMode"}
    renames = {"FileSystemTags": "Tags"}
    deletes = "delete_file_system"
    key = "FileSystemId"
    creates = ("create_file_system", "FileSystemId")
    describes = ("describe_file_systems", "FileSystemId", "FileSystems[0]")
    attributes = {"Arn": "FileSystemArn", "FileSystemId": "FileSystemId"}

    def create(self, unique, p):
        policy, lifecycle = p.pop("FileSystemPolicy", None), p.pop("LifecyclePolicies", None)
        backup = p.pop("BackupPolicy", None)
        system = self.make({**p, "CreationToken": shorten(unique, 64)})
        if policy:
            self.call("put_file_system_policy", {"FileSystemId": system, "Policy": policy})
        if lifecycle:
            self.call("put_lifecycle_configuration", {"FileSystemId": system, "LifecyclePolicies": lifecycle})
        if backup:
            self.call("put_backup_policy", {"FileSystemId": system, "BackupPolicy": backup})
        return system


class MountTarget(Resource):
    type = "AWS::EFS::MountTarget"
    service = "efs"
    fixed = {"FileSystemId", "SubnetId"}
    creates = ("create_mount_target", "MountTargetId")
    deletes = "delete_mount_target"
    key = "MountTargetId"


class AccessPoint(Resource):
    type = "AWS::EFS::AccessPoint"
    service = "efs"
    fixed = {"FileSystemId", "PosixUser", "RootDirectory"}
    renames = {"AccessPointTags": "Tags"}
    creates = ("create_access_point", "AccessPointId")
    deletes = "delete_access_point"
    key = "AccessPointId"
    describes = ("describe_access_points", "AccessPointId", "AccessPoints[0]")
    attributes = {"Arn": "AccessPointArn", "AccessPointId": "AccessPointId"}

    def create(self, unique, p):
        return self.make({**p, "ClientToken": shorten(unique, 64)})
