"""Databases, caches and their groups."""

# ruff: noqa: D101, D102 (a type is its name, and each method is described by `Resource`)

from botocore.exceptions import ClientError

from .resources import Resource


class RdsSubnetGroup(Resource):
    type = "AWS::RDS::DBSubnetGroup"
    service = "rds"
    fixed = {"DBSubnetGroupName"}
    name = ("DBSubnetGroupName", 255)
    updates = "modify_db_subnet_group"
    deletes = "delete_db_subnet_group"
    key = "DBSubnetGroupName"

    def create(self, unique, p):
        p = self.named(unique, p)
        p["DBSubnetGroupName"] = p["DBSubnetGroupName"].lower()
        self.call("create_db_subnet_group", p)
        return p["DBSubnetGroupName"]

    def delete(self, physical_id, p):
        for instance in self.api.describe_db_instances()["DBInstances"]:
            if instance.get("DBSubnetGroup", {}).get("DBSubnetGroupName") == physical_id:
                message = f"Cannot delete the subnet group '{physical_id}': {instance['DBInstanceIdentifier']} uses it"
                raise ClientError(
                    {"Error": {"Code": "InvalidDBSubnetGroupStateFault", "Message": message}}, "DeleteDBSubnetGroup"
                )
        super().delete(physical_id, p)


class RdsParameterGroup(Resource):
    type = "AWS::RDS::DBParameterGroup"
    service = "rds"
    fixed = {"DBParameterGroupName", "Family", "Description"}
    renames = {"Family": "DBParameterGroupFamily"}
    name = ("DBParameterGroupName", 255)
    deletes = "delete_db_parameter_group"
    key = "DBParameterGroupName"
    kind = "db_parameter_group"

    def create(self, unique, p):
        parameters = p.pop("Parameters", {})
        p = self.named(unique, p)
        name = p[self.key] = p[self.key].lower()
        self.call(f"create_{self.kind}", p)
        self._set(name, parameters)
        return name

    def _set(self, name, parameters):
        if parameters:
            values = [
                {"ParameterName": key, "ParameterValue": str(value), "ApplyMethod": "pending-reboot"}
                for key, value in parameters.items()
            ]
            getattr(self.api, f"modify_{self.kind}")(**{self.key: name, "Parameters": values})

    def update(self, physical_id, p, old):
        self._set(physical_id, p.get("Parameters", {}))
        return physical_id


class RdsClusterParameterGroup(RdsParameterGroup):
    type = "AWS::RDS::DBClusterParameterGroup"
    fixed = {"DBClusterParameterGroupName", "Family", "Description"}
    name = ("DBClusterParameterGroupName", 255)
    deletes = "delete_db_cluster_parameter_group"
    key = "DBClusterParameterGroupName"
    kind = "db_cluster_parameter_group"


class DbInstance(Resource):
    type = "AWS::RDS::DBInstance"
    service = "rds"
    fixed = {
        "DBInstanceIdentifier", "DBName", "DBSubnetGroupName", "KmsKeyId", "MasterUsername", "StorageEncrypted",
        "Engine", "DBClusterIdentifier",
    }  # fmt: skip
    renames = {"VPCSecurityGroups": "VpcSecurityGroupIds", "EnableCloudwatchLogsExports": "EnableCloudwatchLogsExports"}
    name = ("DBInstanceIdentifier", 63)
    updates = "modify_db_instance"
    key = "DBInstanceIdentifier"
    describes = ("describe_db_instances", "DBInstanceIdentifier", "DBInstances[0]")
    attributes = {
        "Endpoint.Address": "Endpoint.Address",
        "Endpoint.Port": "Endpoint.Port",
        "DBInstanceArn": "DBInstanceArn",
        "DbiResourceId": "DbiResourceId",
    }
    own = {"DeleteAutomatedBackups"}  # an argument of the deletion

    def create(self, unique, p):
        p = self.named(unique, {name: value for name, value in p.items() if name not in self.own})
        p["DBInstanceIdentifier"] = p["DBInstanceIdentifier"].lower()
        self.call("create_db_instance", p)
        return p["DBInstanceIdentifier"]

    def update(self, physical_id, p, old):
        p, old = ({name: value for name, value in side.items() if name not in self.own} for side in (p, old))
        return super().update(physical_id, p | {"ApplyImmediately": True}, old)

    def delete(self, physical_id, p, **final):
        backups = p.get("DeleteAutomatedBackups", True) in (True, "true")
        self.api.delete_db_instance(
            DBInstanceIdentifier=physical_id,
            DeleteAutomatedBackups=backups,
            **(final or {"SkipFinalSnapshot": True}),
        )

    def snapshot(self, physical_id, p):
        name = f"{physical_id}-final"
        self.delete(physical_id, p, SkipFinalSnapshot=False, FinalDBSnapshotIdentifier=name)


class DbCluster(Resource):
    type = "AWS::RDS::DBCluster"
    service = "rds"
    fixed = {"DBClusterIdentifier", "DatabaseName", "DBSubnetGroupName", "KmsKeyId", "StorageEncrypted", "Engine"}
    name = ("DBClusterIdentifier", 63)
    updates = "modify_db_cluster"
    key = "DBClusterIdentifier"
    describes = ("describe_db_clusters", "DBClusterIdentifier", "DBClusters[0]")
    attributes = {
        "Endpoint.Address": "Endpoint",
        "Endpoint.Port": "Port",
        "ReadEndpoint.Address": "ReaderEndpoint",
        "DBClusterArn": "DBClusterArn",
        "DBClusterResourceId": "DbClusterResourceId",
    }
    own = {"DeleteAutomatedBackups"}  # an argument of the deletion

    def create(self, unique, p):
        p = self.named(unique, {name: value for name, value in p.items() if name not in self.own})
        p["DBClusterIdentifier"] = p["DBClusterIdentifier"].lower()
        self.call("create_db_cluster", p)
        return p["DBClusterIdentifier"]

    def update(self, physical_id, p, old):
        p, old = ({name: value for name, value in side.items() if name not in self.own} for side in (p, old))
        return super().update(physical_id, p | {"ApplyImmediately": True}, old)

    def delete(self, physical_id, p, **final):
        backups = p.get("DeleteAutomatedBackups", True) in (True, "true")
        self.api.delete_db_cluster(
            DBClusterIdentifier=physical_id,
            DeleteAutomatedBackups=backups,
            **(final or {"SkipFinalSnapshot": True}),
        )

    def snapshot(self, physical_id, p):
        name = f"{physical_id}-final"
        self.delete(physical_id, p, SkipFinalSnapshot=False, FinalDBSnapshotIdentifier=name)


class CacheSubnetGroup(Resource):
    type = "AWS::ElastiCache::SubnetGroup"
    service = "elasticache"
    fixed = {"CacheSubnetGroupName"}
    renames = {"Description": "CacheSubnetGroupDescription"}
    name = ("CacheSubnetGroupName", 255)
    deletes = "delete_cache_subnet_group"
    key = "CacheSubnetGroupName"

    def create(self, unique, p):
        p = self.named(unique, p)
        p["CacheSubnetGroupName"] = p["CacheSubnetGroupName"].lower()
        self.call("create_cache_subnet_group", p)
        return p["CacheSubnetGroupName"]


class CacheParameterGroup(Resource):
    type = "AWS::ElastiCache::ParameterGroup"
    service = "elasticache"
    fixed = {"CacheParameterGroupFamily", "CacheParameterGroupName"}
    name = ("CacheParameterGroupName", 255)
    deletes = "delete_cache_parameter_group"
    key = "CacheParameterGroupName"

    def create(self, unique, p):
        values = p.pop("Properties", {})
        p = self.named(unique, p)
        name = p["CacheParameterGroupName"] = p["CacheParameterGroupName"].lower()
        self.call("create_cache_parameter_group", p)
        return self.update(name, {"Properties": values}, {})

    def update(self, physical_id, p, old):
        values = [
            {"ParameterName": key, "ParameterValue": str(value)} for key, value in p.get("Properties", {}).items()
        ]
        self.api.modify_cache_parameter_group(CacheParameterGroupName=physical_id, ParameterNameValues=values)
        return physical_id


class ReplicationGroup(Resource):
    type = "AWS::ElastiCache::ReplicationGroup"
    service = "elasticache"
    fixed = {
        "AtRestEncryptionEnabled",
        "CacheSubnetGroupName",
        "KmsKeyId",
        "Port",
        "ReplicationGroupId",
        "SnapshotName",
    }
    name = ("ReplicationGroupId", 40)
    updates = "modify_replication_group"
    key = "ReplicationGroupId"
    describes = ("describe_replication_groups", "ReplicationGroupId", "ReplicationGroups[0]")
    attributes = {
        "PrimaryEndPoint.Address": "NodeGroups[0].PrimaryEndpoint.Address",
        "PrimaryEndPoint.Port": "NodeGroups[0].PrimaryEndpoint.Port",
        "ReaderEndPoint.Address": "NodeGroups[0].ReaderEndpoint.Address",
        "ConfigurationEndPoint.Address": "ConfigurationEndpoint.Address",
        "ConfigurationEndPoint.Port": "ConfigurationEndpoint.Port",
    }

    def create(self, unique, p):
        p = self.named(unique, p)
        p["ReplicationGroupId"] = p["ReplicationGroupId"].lower()
        self.call("create_replication_group", p)
        return p["ReplicationGroupId"]

    def delete(self, physical_id, p, **final):
        self.api.delete_replication_group(ReplicationGroupId=physical_id, **final)

    def snapshot(self, physical_id, p):
        self.delete(physical_id, p, FinalSnapshotIdentifier=f"{physical_id}-final")
