"""ECS and Cloud Map: clusters, task definitions, services and DNS names."""

# ruff: noqa: D101, D102 (a type is its name, and each method is described by `Resource`)

from .resources import Resource, shorten

# Keys of properties get the API's case, except in maps whose keys are data.


class Cluster(Resource):
    type = "AWS::ECS::Cluster"
    service = "ecs"
    fixed = {"ClusterName"}
    renames = {"ClusterSettings": "settings"}
    name = ("ClusterName", 255)
    creates = ("create_cluster", "cluster.clusterName")
    updates = "update_cluster"
    deletes = "delete_cluster"
    key = "cluster"
    describes = ("describe_clusters", "clusters", "clusters[0]")
    attributes = {"Arn": "clusterArn"}


class CapacityProvider(Resource):
    type = "AWS::ECS::CapacityProvider"
    service = "ecs"
    fixed = {"Name", "ClusterName"}
    renames = {"ClusterName": "cluster"}
    name = ("Name", 255)
    creates = ("create_capacity_provider", "capacityProvider.name")
    deletes = "delete_capacity_provider"
    key = "capacityProvider"

    def update(self, physical_id, p, old):
        self.delete(physical_id, old)
        return self.make({**p, "Name": physical_id})


class CapacityProviderAssociations(Resource):
    type = "AWS::ECS::ClusterCapacityProviderAssociations"
    service = "ecs"
    fixed = {"Cluster"}

    def create(self, unique, p):
        self.call("put_cluster_capacity_providers", p)
        return p["Cluster"]

    def update(self, physical_id, p, old):
        return self.create("", p)

    def delete(self, physical_id, p):
        self.api.put_cluster_capacity_providers(
            cluster=physical_id, capacityProviders=[], defaultCapacityProviderStrategy=[]
        )


class TaskDefinition(Resource):
    """A task definition; every change registers a new revision."""

    type = "AWS::ECS::TaskDefinition"
    service = "ecs"
    fixed = {
        "ContainerDefinitions", "Cpu", "EphemeralStorage", "ExecutionRoleArn", "Family", "Memory", "NetworkMode",
        "PlacementConstraints", "ProxyConfiguration", "RequiresCompatibilities", "RuntimePlatform", "Tags",
        "TaskRoleArn", "Volumes",
    }  # fmt: skip
    renames = {"EFSVolumeConfiguration": "efsVolumeConfiguration"}
    name = ("Family", 255)
    creates = ("register_task_definition", "taskDefinition.taskDefinitionArn")
    deletes = "deregister_task_definition"
    key = "taskDefinition"
    describes = ("describe_task_definition", "taskDefinition", "taskDefinition")
    attributes = {"TaskDefinitionArn": "taskDefinitionArn"}

    def create(self, unique, p):
        for volume in p.get("Volumes", []):
            efs = volume.get("EFSVolumeConfiguration")
            if efs:  # the API spells these names differently
                volume["EFSVolumeConfiguration"] = {
                    {"FilesystemId": "fileSystemId"}.get(key, key): value for key, value in efs.items()
                }
        return super().create(unique, p)


class Service(Resource):
    type = "AWS::ECS::Service"
    service = "ecs"
    fixed = {"Cluster", "ServiceName", "LaunchType", "SchedulingStrategy", "DeploymentController"}
    name = ("ServiceName", 255)
    creates = ("create_service", "service.serviceArn")

    def create(self, unique, p):
        # DesiredCount defaults to 1 in CloudFormation.
        return self.make(self.named(unique, {"DesiredCount": 1, **p}))

    def update(self, physical_id, p, old):
        changed = {name: value for name, value in p.items() if old.get(name) != value}
        self.call("update_service", {"cluster": p["Cluster"], "service": physical_id, **changed})
        return physical_id

    def delete(self, physical_id, p):
        self.api.delete_service(cluster=p["Cluster"], service=physical_id, force=True)

    def attribute(self, physical_id, name):
        values = {"Name": physical_id.rsplit("/", 1)[-1], "ServiceArn": physical_id}
        return values.get(name) or super().attribute(physical_id, name)


class PrivateDnsNamespace(Resource):
    type = "AWS::ServiceDiscovery::PrivateDnsNamespace"
    service = "servicediscovery"
    fixed = {"Name", "Vpc"}
    deletes = "delete_namespace"
    key = "Id"
    describes = ("get_namespace", "Id", "Namespace")
    attributes = {
        "Id": "Id",
        "Arn": "Arn",
        "HostedZoneId": "Properties.DnsProperties.HostedZoneId",
    }

    def create(self, unique, p):
        operation = self.call("create_private_dns_namespace", {**p, "CreatorRequestId": shorten(unique, 64)})
        return self.api.get_operation(OperationId=operation["OperationId"])["Operation"]["Targets"]["NAMESPACE"]


class DiscoveryService(Resource):
    type = "AWS::ServiceDiscovery::Service"
    service = "servicediscovery"
    fixed = {"Name", "NamespaceId", "HealthCheckCustomConfig", "Type"}
    creates = ("create_service", "Service.Id")
    deletes = "delete_service"
    key = "Id"
    describes = ("get_service", "Id", "Service")
    attributes = {"Id": "Id", "Arn": "Arn", "Name": "Name"}

    def update(self, physical_id, p, old):
        self.call("update_service", {"Id": physical_id, "Service": {"DnsConfig": p["DnsConfig"]}})
        return physical_id
