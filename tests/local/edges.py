"""Compares the connections between components of a running local cluster with its security group rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from permissions import Grant, grants
from wire import Wire

from signed import post_json

# Names of clients and servers that have no security group of the cluster.
MACHINE, AWS, AGENT, CLIENTS, OUTSIDE = "this machine", "AWS API", "ECS agent", "Clients", "unknown"
METADATA = "169.254.170.2"
RUNNER = "airflow-ecs local up"
# Descriptions of security groups, with the names of their owners in the plan.
STORES = {
    "Load balancer of Airflow": "Web",
    "Metadata database of Airflow": "Database",
    "Celery broker of Airflow": "Broker",
    "Files of the Airflow database": "Database/Files",
}
# Log stream prefixes of ECS tasks that belong to no service, with their names in the plan.
RUN_TASKS = {"Gate": "Migration", "executor": "Tasks/executor"}
# Connections of the local runner for its own health checks.
OWN = {(MACHINE, "Broker", 6379), (MACHINE, "Database", 5432)}


@dataclass(frozen=True, order=True)
class Edge:
    """A connection from one component of the plan to a port of another."""

    source: str
    target: str
    port: int

    def __str__(self) -> str:
        return f"{self.source} → {self.target}:{self.port}"


@dataclass(frozen=True)
class Seen:
    """All observed connections of an edge.

    Args:
        times: number of successful connections.
        refused: number of failed attempts to connect.
        addresses: pairs of source and target address.
        clients: names of client processes.
        server: name of the server process.
    """

    edge: Edge
    times: int
    refused: int
    addresses: tuple[tuple[str, str], ...]
    clients: tuple[str, ...]
    server: str

    def __str__(self) -> str:
        froms, tos = ({pair[side] for pair in self.addresses} for side in (0, 1))
        who = " / ".join(self.clients) or "a process too short to be caught"
        server = f" ({self.server})" if self.server else ""
        more = f"; {self.refused} more were not answered" if self.refused else ""
        where = f"{', '.join(sorted(tos))}{server}"
        return f"{who} at {', '.join(sorted(froms))} → {where}, {self.times} times{more}"


@dataclass(frozen=True)
class Rules:
    """Security group rules: *admitted* edges, and *unbound* components, which have unlimited egress."""

    admitted: frozenset[Edge]
    unbound: frozenset[str]

    @classmethod
    def read(cls, groups: Sequence[Mapping[str, Any]]) -> Rules:
        """Parse groups from DescribeSecurityGroups, except for those of other stacks."""
        names = names_of(groups)
        admitted, unbound = set(), set()
        for group in groups:
            if group["GroupId"] not in names:
                continue
            name = names[group["GroupId"]]
            for rule in group["IpPermissions"]:
                ports = range(rule["FromPort"], rule["ToPort"] + 1)
                sources = [names[pair["GroupId"]] for pair in rule["UserIdGroupPairs"]]
                sources += [CLIENTS] if rule["IpRanges"] else []
                admitted |= {Edge(source, name, port) for source in sources for port in ports}
            for rule in group["IpPermissionsEgress"]:
                if rule["IpProtocol"] == "-1" and {"0.0.0.0/0"} & {each["CidrIp"] for each in rule["IpRanges"]}:
                    unbound.add(name)
        return cls(frozenset(admitted), frozenset(unbound))

    def allow(self, edge: Edge) -> bool:
        """Return whether the rules allow a connection, or the local runner makes it for itself."""
        if edge.target in (AWS, AGENT):  # on AWS, these have no security group of the cluster
            return edge.source in self.unbound
        if edge.source == MACHINE:
            return (edge.source, edge.target, edge.port) in OWN or Edge("Web", edge.target, edge.port) in self.admitted
        return edge.source in self.unbound and edge in self.admitted


def names_of(groups: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the owner's name in the plan by security group id."""
    found = {}
    for group in groups:
        text = group["Description"]
        if text in STORES or text.startswith("Airflow "):
            found[group["GroupId"]] = STORES.get(text, text.removeprefix("Airflow "))
    return found


@dataclass
class Account:
    """The AWS account of a running cluster.

    Args:
        state: the state directory of the cluster.
    """

    state: Path
    _run: dict[str, Any] = field(default_factory=dict)
    _key: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        self._run = json.loads((self.state / "run.json").read_text())
        key = json.loads((self.state / "key.json").read_text())
        self._key = key["id"], key["secret"]

    def client(self, service: str) -> Any:
        """Return a boto3 client of the local AWS API."""
        session = boto3.Session(*self._key, region_name=self._run["region"])
        return session.client(service, endpoint_url=self._run["api"])

    def rules(self) -> Rules:
        """Return the account's security group rules."""
        return Rules.read(self.client("ec2").describe_security_groups()["SecurityGroups"])

    @property
    def port(self) -> int:
        """Return the port of the local AWS API."""
        return int(self._run["api"].rpartition(":")[2])

    def address(self, store: str) -> str:
        """Return the IP address of a store."""
        return next(ip for ip, name in self._stores() if name == store)

    def names(self) -> dict[str, str]:
        """Return the owner's name of each IP address: running and stopped tasks, and stores."""
        return {**dict(self._tasks()), **dict(self._stores())}

    def _stores(self) -> Iterator[tuple[str, str]]:
        (number,) = re.findall(r"//198\.18\.(\d+)\.1:", self._run["task_api"])
        hosts = next(
            Path("/etc/netns").glob(f"airflow-ecs-{number}-*/hosts")
        ).read_text()  # the hosts files of all tasks are equal
        places = {name: line.split()[0] for line in hosts.splitlines() for name in line.split()[1:]}
        for instance in self.client("rds").describe_db_instances()["DBInstances"]:
            yield places[instance["Endpoint"]["Address"]], "Database"
        for group in self.client("elasticache").describe_replication_groups()["ReplicationGroups"]:
            yield places[group["NodeGroups"][0]["PrimaryEndpoint"]["Address"]], "Broker"

    def _tasks(self) -> Iterator[tuple[str, str]]:
        ecs = self.client("ecs")
        owners = {f"service:{service['serviceName']}": name for name, service in self._services()}
        for cluster in ecs.list_clusters()["clusterArns"]:
            for status in ("RUNNING", "STOPPED"):
                tasks = ecs.list_tasks(cluster=cluster, desiredStatus=status)["taskArns"]
                for first in range(0, len(tasks), 100):
                    for task in ecs.describe_tasks(cluster=cluster, tasks=tasks[first : first + 100])["tasks"]:
                        owner = owners.get(task["group"]) or self._prefix(task["taskDefinitionArn"])
                        for interface in task["containers"][0].get("networkInterfaces", ()):
                            yield interface["privateIpv4Address"], owner

    def _services(self) -> Iterator[tuple[str, dict[str, Any]]]:
        ecs = self.client("ecs")
        groups = names_of(self.client("ec2").describe_security_groups()["SecurityGroups"])
        for cluster in ecs.list_clusters()["clusterArns"]:
            arns = ecs.list_services(cluster=cluster, maxResults=100)["serviceArns"]
            for service in ecs.describe_services(cluster=cluster, services=arns)["services"]:
                (group,) = service["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"]
                yield groups[group], service

    def _prefix(self, definition: str) -> str:
        """Return the name of an ECS task without a service, from the prefix of its log streams."""
        found = self.client("ecs").describe_task_definition(taskDefinition=definition)["taskDefinition"]
        options = found["containerDefinitions"][0]["logConfiguration"]["options"]
        return RUN_TASKS.get(options["awslogs-stream-prefix"], options["awslogs-stream-prefix"])

    def grants(self) -> dict[str, list[Grant]]:
        """Return the actions that the task role of each component allows."""
        ecs, iam = self.client("ecs"), self.client("iam")
        definitions = {self._prefix(arn): arn for arn in ecs.list_task_definitions()["taskDefinitionArns"]}
        definitions |= {name: service["taskDefinition"] for name, service in self._services()}
        found = {}
        for name, arn in definitions.items():
            definition = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
            role = definition["taskRoleArn"].rpartition("/")[2]
            inline = iam.list_role_policies(RoleName=role)["PolicyNames"]
            documents = [iam.get_role_policy(RoleName=role, PolicyName=each)["PolicyDocument"] for each in inline]
            found[name] = list(grants(documents))
        return found

    def calls(self) -> list[list[Any]]:
        """Return the recorded AWS API requests: client address, service, operation, bucket, count."""
        found: list[list[Any]] = post_json(f"{self._run['api']}/_emulator/calls", self._key)
        return found

    def buckets(self) -> dict[str, str]:
        """Return what each bucket is for, such as "DAG files", by bucket name."""
        found = {}
        for name in (each["Name"] for each in self.client("s3").list_buckets()["Buckets"]):
            for part, holds in (("dagsbucket", "DAG files"), ("logstasks", "task logs"), ("accesslogs", "access logs")):
                if part in name:
                    found[name] = holds
        return found


@dataclass(frozen=True)
class Observed:
    """The observations of a run.

    Args:
        edges: connections and failed attempts, by edge.
        calls: number of AWS API requests by component, service, and operation or (S3) content of the bucket.
        rules: the security group rules of the template.
        commands: number of Redis commands by component, database and command.
    """

    edges: Mapping[Edge, Seen]
    calls: Mapping[tuple[str, str, str], int]
    rules: Rules
    commands: Mapping[tuple[Any, ...], int] = field(default_factory=dict)

    @classmethod
    def of(cls, wire: Wire, account: Account, done: Mapping[tuple[str, int, str], int]) -> Observed:
        """Return the recorded packets, commands and requests, with clients and servers named as in the plan."""
        names = {METADATA: AGENT, wire.this_machine: MACHINE, **account.names()}
        buckets = account.buckets()
        calls: dict[tuple[str, str, str], int] = {}
        for address, service, operation, bucket, times in account.calls():
            what = f"{operation} {buckets.get(bucket, bucket)}".strip() if service == "s3" else operation
            key = names.get(address, OUTSIDE), service, what
            calls[key] = calls.get(key, 0) + times
        commands = {(names.get(who, OUTSIDE), *rest): times for (who, *rest), times in list(done.items())}
        return cls(edges(wire, names, account.port), calls, account.rules(), commands)

    def asked(self, who: str, service: str, what: str = "") -> int:
        """Return how many requests a component sent to an AWS service with *what* in operation or bucket content."""
        return sum(n for (name, of, done), n in self.calls.items() if (name, of) == (who, service) and what in done)

    @property
    def undeclared(self) -> list[Seen]:
        """Return the connections that no rule allows."""
        return [seen for edge, seen in sorted(self.edges.items()) if not self.rules.allow(edge)]


def edges(wire: Wire, names: Mapping[str, str], api: int) -> dict[Edge, Seen]:
    """Return the recorded connections with the names of the plan; *api* is the AWS API's port."""
    grouped: dict[Edge, list[Any]] = {}
    for flow in sorted({*list(wire.attempts), *list(wire.accepted)}):  # copies, because the recorder still adds flows
        source, target = names.get(flow.source, f"{OUTSIDE} {flow.source}"), names.get(flow.target)
        if target is None:
            target = f"{OUTSIDE} {flow.target}"
        elif (target, flow.port) == (MACHINE, api):
            target = AWS
        port = 443 if target == AWS else flow.port
        if flow.protocol != "tcp":
            target += f" ({flow.protocol})"
        grouped.setdefault(Edge(source, target, port), []).append(flow)
    found = {}
    for edge, flows in grouped.items():
        made = sum(len(wire.accepted.get(flow, ())) for flow in flows)
        tried = sum(len(wire.attempts.get(flow, ())) for flow in flows)
        caught = (wire.clients.get((flow.source, flow.target, flow.port), set()) for flow in flows)
        clients = {RUNNER} if edge.source == MACHINE else {name for each in caught for name in list(each)}
        servers = {wire.servers.get((flow.target, flow.port), "") for flow in flows} - {""}
        found[edge] = Seen(
            edge,
            made,
            max(tried - made, 0),
            tuple(sorted({(flow.source, f"{flow.target}:{flow.port}") for flow in flows})),
            tuple(sorted(clients)),
            " / ".join(sorted(servers)),
        )
    return found
