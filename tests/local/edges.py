"""Who talks to whom in a running local cluster, under the names of the plan, and what its rules say to that."""

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

from signed import ask

# What has no security group of its own.
MACHINE, AWS, AGENT, CLIENTS, OUTSIDE = "this machine", "AWS API", "ECS agent", "Clients", "unknown"
METADATA = "169.254.170.2"
RUNNER = "airflow-ecs local up"
# How the groups of stores describe themselves.
STORES = {
    "Load balancer of Airflow": "Web",
    "Metadata database of Airflow": "Database",
    "Celery broker of Airflow": "Broker",
    "Files of the Airflow database": "Database/Files",
}
# What the streams of tasks that no service starts are called, by their prefix.
RUN_TASKS = {"Gate": "Migration", "executor": "Tasks/executor"}
# What the runner itself does with a store: it asks whether it lives.
OWN = {(MACHINE, "Broker", 6379), (MACHINE, "Database", 5432)}


@dataclass(frozen=True, order=True)
class Edge:
    """Who opens connections to whom, under the names of the plan."""

    source: str
    target: str
    port: int

    def __str__(self) -> str:
        return f"{self.source} → {self.target}:{self.port}"


@dataclass(frozen=True)
class Seen:
    """What was seen of an edge.

    Args:
        edge: the edge.
        times: how many connections were made.
        refused: how many were tried beyond those.
        addresses: from which address to which address and port.
        clients: the processes that opened them, as far as one was caught at it.
        server: the process that took them.
    """

    edge: Edge
    times: int
    refused: int
    addresses: tuple[tuple[str, str], ...]
    clients: tuple[str, ...]
    server: str

    def __str__(self) -> str:
        """Process and address on both sides."""
        froms, tos = ({pair[side] for pair in self.addresses} for side in (0, 1))
        who = " / ".join(self.clients) or "a process too short to be caught"
        server = f" ({self.server})" if self.server else ""
        more = f"; {self.refused} more were not answered" if self.refused else ""
        where = f"{', '.join(sorted(tos))}{server}"
        return f"{who} at {', '.join(sorted(froms))} → {where}, {self.times} times{more}"


@dataclass(frozen=True)
class Rules:
    """What the security groups of an account admit and let out.

    Args:
        admitted: each inbound rule.
        unbound: whose groups may open connections anywhere.
    """

    admitted: frozenset[Edge]
    unbound: frozenset[str]

    @classmethod
    def read(cls, groups: Sequence[Mapping[str, Any]]) -> Rules:
        """Read them as DescribeSecurityGroups tells them. Groups that no resource of ours made are left out."""
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
        """Whether a connection may be made; what the runner itself does with stores is nothing of the template's."""
        if edge.target in (AWS, AGENT):  # on AWS, an endpoint outside of every group
            return edge.source in self.unbound
        if edge.source == MACHINE:
            return (edge.source, edge.target, edge.port) in OWN or Edge("Web", edge.target, edge.port) in self.admitted
        return edge.source in self.unbound and edge in self.admitted


def names_of(groups: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The name of each group's owner, by the group's id."""
    found = {}
    for group in groups:
        text = group["Description"]
        if text in STORES or text.startswith("Airflow "):
            found[group["GroupId"]] = STORES.get(text, text.removeprefix("Airflow "))
    return found


@dataclass
class Account:
    """The running cluster as its own AWS API describes it.

    Args:
        state: its state directory.
    """

    state: Path
    _run: dict[str, Any] = field(default_factory=dict)
    _key: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        self._run = json.loads((self.state / "run.json").read_text())
        key = json.loads((self.state / "key.json").read_text())
        self._key = key["id"], key["secret"]

    def client(self, service: str) -> Any:
        """A client of a service."""
        session = boto3.Session(*self._key, region_name=self._run["region"])
        return session.client(service, endpoint_url=self._run["api"])

    def rules(self) -> Rules:
        """The rules that hold in it."""
        return Rules.read(self.client("ec2").describe_security_groups()["SecurityGroups"])

    @property
    def port(self) -> int:
        """Where the AWS API is."""
        return int(self._run["api"].rpartition(":")[2])

    def address(self, store: str) -> str:
        """Where a store is."""
        return next(ip for ip, name in self._stores() if name == store)

    def names(self) -> dict[str, str]:
        """Whose each address is: every task that runs or ran, and every store."""
        return {**dict(self._tasks()), **dict(self._stores())}

    def _stores(self) -> Iterator[tuple[str, str]]:
        (number,) = re.findall(r"//198\.18\.(\d+)\.1:", self._run["task_api"])
        hosts = next(Path("/etc/netns").glob(f"airflow-ecs-{number}-*/hosts")).read_text()  # all say the same
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
        """Each service under the name of its security group."""
        ecs = self.client("ecs")
        groups = names_of(self.client("ec2").describe_security_groups()["SecurityGroups"])
        for cluster in ecs.list_clusters()["clusterArns"]:
            arns = ecs.list_services(cluster=cluster, maxResults=100)["serviceArns"]
            for service in ecs.describe_services(cluster=cluster, services=arns)["services"]:
                (group,) = service["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"]
                yield groups[group], service

    def _prefix(self, definition: str) -> str:
        """The name of what no service starts, by the prefix of its streams."""
        found = self.client("ecs").describe_task_definition(taskDefinition=definition)["taskDefinition"]
        options = found["containerDefinitions"][0]["logConfiguration"]["options"]
        return RUN_TASKS.get(options["awslogs-stream-prefix"], options["awslogs-stream-prefix"])

    def grants(self) -> dict[str, list[Grant]]:
        """What the task role of each component allows."""
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
        """Who asked the AWS API for what: address, service, operation, bucket, times."""
        found: list[list[Any]] = ask(f"{self._run['api']}/_emulator/calls", self._key)
        return found

    def buckets(self) -> dict[str, str]:
        """The buckets' names, by what they hold."""
        found = {}
        for name in (each["Name"] for each in self.client("s3").list_buckets()["Buckets"]):
            for part, holds in (("dagsbucket", "DAG files"), ("logstasks", "task logs"), ("accesslogs", "access logs")):
                if part in name:
                    found[name] = holds
        return found


@dataclass(frozen=True)
class Observed:
    """What a run has shown.

    Args:
        edges: every edge on which a connection was made or tried, by edge.
        calls: who asked the AWS API for what, and how often: component, service, operation or what a bucket holds.
        rules: what the template admits.
        commands: who gave the broker which command in which of its databases, and how often.
    """

    edges: Mapping[Edge, Seen]
    calls: Mapping[tuple[str, str, str], int]
    rules: Rules
    commands: Mapping[tuple[Any, ...], int] = field(default_factory=dict)

    @classmethod
    def of(cls, wire: Wire, account: Account, done: Mapping[tuple[str, int, str], int]) -> Observed:
        """Put together what was heard on the wire and in the broker, and what the account says of it."""
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
        """How often a component asked a service for something; for S3 *what* is what the bucket holds."""
        return sum(n for (name, of, done), n in self.calls.items() if (name, of) == (who, service) and what in done)

    @property
    def undeclared(self) -> list[Seen]:
        """What was seen and is allowed by no rule."""
        return [seen for edge, seen in sorted(self.edges.items()) if not self.rules.allow(edge)]


def edges(wire: Wire, names: Mapping[str, str], api: int) -> dict[Edge, Seen]:
    """What was heard, under names.

    Args:
        wire: what was heard.
        names: whose each address is.
        api: the port of this machine where the AWS API is; on AWS it is 443.
    """
    grouped: dict[Edge, list[Any]] = {}
    for flow in sorted({*list(wire.attempts), *list(wire.accepted)}):  # copies: it goes on listening
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
