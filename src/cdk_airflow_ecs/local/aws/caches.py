"""Nodes of ElastiCache replication groups, which moto does not describe."""

from typing import Any

from moto.core.responses import ActionResult
from moto.elasticache.models import ReplicationGroup
from moto.elasticache.responses import ElastiCacheResponse

# Parameters that moto stores when a group is created but ignores when it is modified.
CHANGED = {
    "CacheParameterGroupName": "cache_parameter_group_name",
    "EngineVersion": "engine_version",
    "SecurityGroupIds": "security_group_ids",
}


def show_nodes() -> None:
    """Patch moto to describe the nodes of replication groups, and to store modified parameters."""
    modify = ElastiCacheResponse.modify_replication_group

    def modify_replication_group(self: Any) -> Any:
        answer = modify(self)
        group = self.elasticache_backend.replication_groups[self.params["ReplicationGroupId"]]
        for name in CHANGED.keys() & self.params.keys():
            setattr(group, CHANGED[name], self.params[name])
        return answer

    def describe_cache_clusters(self: Any) -> ActionResult:
        wanted = self.params.get("CacheClusterId")
        groups = self.elasticache_backend.replication_groups.values()
        nodes = [node(group, name) for group in groups for name in group.member_clusters if wanted in (None, name)]
        return ActionResult({"CacheClusters": nodes})

    ElastiCacheResponse.modify_replication_group = modify_replication_group
    ElastiCacheResponse.describe_cache_clusters = describe_cache_clusters


def node(group: ReplicationGroup, name: str) -> dict[str, Any]:
    """Return the API description of one node."""
    return {
        "CacheClusterId": name,
        "ReplicationGroupId": group.replication_group_id,
        "Engine": group.engine,
        "EngineVersion": group.engine_version,
        "CacheParameterGroup": {"CacheParameterGroupName": group.cache_parameter_group_name},
        "CacheSubnetGroupName": group.cache_subnet_group_name,
        "SecurityGroups": [{"SecurityGroupId": key, "Status": "active"} for key in group.security_group_ids or ()],
    }
