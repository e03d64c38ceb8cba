"""Servers and data for the databases, caches, buckets and queues of a template."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cdk_airflow_ecs.local.aws import queues
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.stores.postgres import PostgresServer
from cdk_airflow_ecs.local.stores.redis import RedisServer

if TYPE_CHECKING:
    from cdk_airflow_ecs.local.aws.account import Account
    from cdk_airflow_ecs.local.network.addresses import Addresses
    from cdk_airflow_ecs.local.network.certificate_authority import Authority
    from cdk_airflow_ecs.local.state import State

_PACE: Final = 0.5  # seconds


@dataclass(kw_only=True)
class Datastores:
    """Starts and restarts a server for each database and cache; saves and restores data, queues and buckets."""

    account: Account
    state: State
    addresses: Addresses
    authority: Authority
    say: Callable[[str, str], None]
    servers: dict[str, PostgresServer | RedisServer] = field(default_factory=dict)
    buckets: dict[str, str] = field(default_factory=dict)
    queues: dict[str, str] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def created(self, kind: str, logical_id: str, physical_id: str, properties: dict[str, Any]) -> None:
        """Start the server of a new resource, or restore its data."""
        make = {
            "AWS::RDS::DBInstance": self._instance,
            "AWS::RDS::DBCluster": self._cluster,
            "AWS::ElastiCache::ReplicationGroup": self._cache,
            "AWS::SecretsManager::Secret": self._secret,
            "AWS::S3::Bucket": self._bucket,
            "AWS::SQS::Queue": self._queue,
            "AWS::ServiceDiscovery::Service": self._name,
        }.get(kind)
        if make:
            make(logical_id, physical_id, properties)

    def watch(self) -> None:
        """Restart servers that die, in a background thread."""
        self._thread = threading.Thread(target=self._watch, name="stores", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Restart servers that died, as RDS and ElastiCache do."""
        for name, server in self.servers.items():
            if not server.is_running:
                self.say(name, f"{server.kind} has died")
                try:
                    server.restart()
                except Refusal as refusal:  # retried at the next check
                    self.say(name, str(refusal))
                else:
                    self.say(name, f"{server.kind} restarted")

    def _watch(self) -> None:
        while not self._over.wait(_PACE):
            self.look()

    def stop(self) -> None:
        """Save bucket objects and queued messages, and stop all servers."""
        self._over.set()
        if self._thread:
            self._thread.join()
        self.state.save_buckets(self.account.client("s3"), self.buckets)
        # Keep messages of the previous run that a failed start did not restore.
        self.state.write("queues", (self.state.read("queues") or {}) | queues.messages(self.account, self.queues))
        for server in self.servers.values():
            server.stop()

    def _name(self, logical_id: str, physical_id: str, properties: dict[str, Any]) -> None:
        """On a shared loopback, set a DNS name's address in advance; starting tasks get it instead of the name."""
        del logical_id, properties
        if not self.addresses.isolated:
            discovery = self.account.client("servicediscovery")
            service = discovery.get_service(Id=physical_id)["Service"]
            namespace = discovery.get_namespace(Id=service["NamespaceId"])["Namespace"]["Name"]
            self.addresses.point(f"{service['Name']}.{namespace}", [self.addresses.host])

    def _instance(self, logical_id: str, physical_id: str, properties: dict[str, Any]) -> None:
        if "DBClusterIdentifier" in properties:  # the instance uses the server of its cluster
            found = self.account.client("rds").describe_db_clusters(
                DBClusterIdentifier=properties["DBClusterIdentifier"]
            )
            self._alias(physical_id, found["DBClusters"][0]["Endpoint"])
            return
        endpoint = self.account.client("rds").describe_db_instances(DBInstanceIdentifier=physical_id)["DBInstances"][0][
            "Endpoint"
        ]
        self._database(logical_id, properties, [endpoint["Address"]], int(endpoint["Port"]), properties.get("DBName"))

    def _alias(self, physical_id: str, cluster: str) -> None:
        found = self.account.client("rds").describe_db_instances(DBInstanceIdentifier=physical_id)["DBInstances"][0]
        server = next(each for each in self.servers.values() if cluster in each.names)
        self.addresses.point(found["Endpoint"]["Address"], [server.address.ip])

    def _cluster(self, logical_id: str, physical_id: str, properties: dict[str, Any]) -> None:
        found = self.account.client("rds").describe_db_clusters(DBClusterIdentifier=physical_id)["DBClusters"][0]
        names = [found["Endpoint"], found["ReaderEndpoint"]]
        self._database(logical_id, properties, names, int(found["Port"]), properties.get("DatabaseName"))

    def _database(
        self, logical_id: str, properties: dict[str, Any], names: list[str], port: int, database: str | None
    ) -> None:
        if "postgres" not in str(properties.get("Engine")):
            raise Refusal(f"{logical_id}: the engine must be PostgreSQL, got {properties.get('Engine')}")
        if "MasterUserPassword" not in properties:
            raise Refusal(f"{logical_id} has no MasterUserPassword; passwords managed by RDS are not supported locally")
        server = PostgresServer(
            self.state,
            logical_id,
            address=self.addresses.add(logical_id),
            port=port,
            authority=self.authority,
            names=names,
        )
        self._serve(logical_id, server, names)
        server.ensure(database or "postgres", str(properties["MasterUsername"]), str(properties["MasterUserPassword"]))

    def _cache(self, logical_id: str, physical_id: str, properties: dict[str, Any]) -> None:
        groups = self.account.client("elasticache").describe_replication_groups(ReplicationGroupId=physical_id)
        group = groups["ReplicationGroups"][0]["NodeGroups"][0]
        names = [group[name]["Address"] for name in ("PrimaryEndpoint", "ReaderEndpoint") if name in group]
        encrypted = str(properties.get("TransitEncryptionEnabled", False)).lower() == "true"
        server = RedisServer(
            self.state,
            logical_id,
            address=self.addresses.add(logical_id),
            port=int(properties.get("Port", 6379)),
            authority=self.authority if encrypted else None,
            password=properties.get("AuthToken"),
            names=names,
        )
        self._serve(logical_id, server, names)

    def _serve(self, logical_id: str, server: PostgresServer | RedisServer, names: list[str]) -> None:
        self.servers[logical_id] = server
        server.start()
        for name in names:
            self.addresses.point(name, [server.address.ip])
        self.say(logical_id, f"{server.kind} on {server.address.ip}:{server.port}")

    def _secret(self, logical_id: str, physical_id: str, properties: dict[str, Any]) -> None:
        """Keep the secret's value between runs, so that existing data remains readable."""
        if "GenerateSecretString" not in properties:
            return
        manager = self.account.client("secretsmanager")
        made = manager.get_secret_value(SecretId=physical_id)["SecretString"]
        kept = self.state.remember(f"secret/{logical_id}", lambda: made)
        if kept != made:
            manager.put_secret_value(SecretId=physical_id, SecretString=kept)

    def _bucket(self, logical_id: str, physical_id: str, properties: dict[str, Any]) -> None:
        del properties
        self.buckets[logical_id] = physical_id
        self.state.restore_buckets(self.account.client("s3"), {logical_id: physical_id})

    def _queue(self, logical_id: str, physical_id: str, properties: dict[str, Any]) -> None:
        del properties
        self.queues[logical_id] = physical_id
        kept = self.state.read("queues") or {}
        queues.put_back(self.account, physical_id, kept.pop(logical_id, []))
        self.state.write("queues", kept)  # restore messages once: those received later must not return
