"""The eleven communications in Airflow's documentation: which observations show each, or why it must be absent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from edges import CLIENTS, MACHINE, Edge, Observed

WORDS = {
    1: "web → workers: logs of running tasks",
    2: "web → DAG files",
    3: "web → database",
    4: "workers → DAG files",
    5: "workers → database",
    6: "workers → Celery's result backend",
    7: "workers → Celery's broker",
    8: "scheduler → DAG files",
    9: "scheduler → database",
    10: "scheduler → Celery's result backend",
    11: "scheduler → Celery's broker",
}
# Security group rules that no local run can use.
NOT_HERE = {
    Edge(CLIENTS, "Web", 80): "the load balancer's stand-in listens on 127.0.0.1, in no network of the cluster",
}


# Redis commands that every client sends when it connects.
_OF_THE_CLIENT = ("PING", "CLIENT", "SELECT", "INFO", "AUTH", "HELLO")


@dataclass(frozen=True)
class Connection:
    """A network connection that must be observed."""

    source: str
    target: str
    port: int

    def judge(self, observed: Observed) -> tuple[bool, str, str]:
        """Return whether the connection was made, the rule that allows it, and the observation."""
        edge = Edge(self.source, self.target, self.port)
        seen = observed.edges.get(edge)
        ok = bool(seen and seen.times) and edge in observed.rules.admitted
        return ok, str(edge) if edge in observed.rules.admitted else "**none**", str(seen or "**not seen**")


@dataclass(frozen=True)
class BrokerCommands:
    """Commands that a component must send to a numbered database of the broker."""

    source: str
    database: int

    def judge(self, observed: Observed) -> tuple[bool, str, str]:
        """Return whether commands were sent, the rule that allows them, and the observation."""
        ok, rule, text = Connection(self.source, "Broker", 6379).judge(observed)
        done = {
            command: times
            for (name, database, command), times in sorted(observed.commands.items(), key=lambda item: -item[1])
            if (name, database) == (self.source, self.database) and command not in _OF_THE_CLIENT
        }
        sent = ", ".join(f"{command} {times} times" for command, times in list(done.items())[:4]) or "**nothing**"
        return ok and bool(done), rule, f"{text}; in database {self.database}: {sent}"


@dataclass(frozen=True)
class ApiRequest:
    """A request that must be sent to the AWS API; *what* is the operation or, for S3, the content of the bucket."""

    source: str
    service: str
    what: str = ""

    def judge(self, observed: Observed) -> tuple[bool, str, str]:
        """Return whether the request was sent, the rule that allows it, and the observation."""
        sent = {
            f"{what} {times} times": times
            for (name, service, what), times in sorted(observed.calls.items())
            if (name, service) == (self.source, self.service) and self.what in what
        }
        out = f"way out of {self.source}" if self.source in observed.rules.unbound else "**none**"
        text = f"{self.source} → {self.service}: {', '.join(sent)}" if sent else "**not seen**"
        return bool(sent) and self.source in observed.rules.unbound, out, text


@dataclass(frozen=True)
class Absent:
    """A connection, or a request for DAG files, that must be absent.

    Args:
        source: the client's component.
        target: the server's component, or "DAG files".
        because: why the client has no need to connect.
        tries: whether Airflow may try to connect without getting a response.
    """

    source: str
    target: str
    because: str
    tries: bool = False

    def judge(self, observed: Observed) -> tuple[bool, str, str]:
        """Return whether the connection is absent and not allowed, the rule that allows it, and the observation."""
        if self.target == "DAG files":
            times, rule = observed.asked(self.source, "s3", self.target), ""
        else:
            between = [edge for edge in observed.edges if (edge.source, edge.target) == (self.source, self.target)]
            times = sum(
                observed.edges[edge].times + observed.edges[edge].refused * (not self.tries) for edge in between
            )
            admitted = [e for e in observed.rules.admitted if (e.source, e.target) == (self.source, self.target)]
            rule = str(admitted[0]) if admitted else ""
        text = f"absent, {self.source} → {self.target} {times} times: {self.because}"
        return not times and not rule, rule or "none", text


# Airflow requests each running task's log from the task's host, even if there is no log server. No security group rule
# allows that, so the request times out after 5 s ([api] log_fetch_timeout_sec).
TRIED = frozenset(Edge(web, "Tasks/executor", 8793) for web in ("ApiServer", "Webserver"))

Expected: TypeAlias = Connection | BrokerCommands | ApiRequest | Absent


def expected_communications(airflow: int, executor: str) -> dict[int, list[Expected]]:
    """Return what must be observed for each communication; *executor* is "celery", "sqs" or "ecs"."""
    web = "ApiServer" if airflow >= 3 else "Webserver"
    worker = "Tasks/executor" if executor == "ecs" else "Pools/default"
    live: list[Expected] = [Connection(web, worker, 8793)]
    if executor == "ecs":
        live = [
            Absent(web, worker, "a task of the ECS executor serves no logs", tries=True),
            ApiRequest(web, "s3", "task logs"),
        ]
    to_database: list[Expected] = [Connection(worker, "Database", 5432)]
    if airflow >= 3:
        to_database = [
            Absent(worker, "Database", "Airflow 3 asks the execution API instead"),
            Connection(worker, web, 8081),
        ]
    found: dict[int, list[Expected]] = {
        1: live,
        2: [Absent(web, "DAG files", "structure and code come from the database")],
        3: [Connection(web, "Database", 5432)],
        4: [ApiRequest(worker, "s3", "DAG files")],
        5: to_database,
        8: [
            Absent("Scheduler", "DAG files", "the DAG processor reads them"),
            ApiRequest("DagProcessor", "s3", "DAG files"),
        ],
        9: [Connection("Scheduler", "Database", 5432)],
    }
    if executor == "celery":
        # In Redis, database 1 has Celery's results and database 0 its task messages.
        found |= {6: [BrokerCommands(worker, 1)], 7: [BrokerCommands(worker, 0)]}
        found |= {10: [BrokerCommands("Scheduler", 1)], 11: [BrokerCommands("Scheduler", 0)]}
    elif executor == "sqs":
        found |= {6: [ApiRequest(worker, "dynamodb")], 7: [ApiRequest(worker, "sqs")]}
        found |= {10: [ApiRequest("Scheduler", "dynamodb")], 11: [ApiRequest("Scheduler", "sqs")]}
    else:
        none = "there is no Celery; a task's end is its container's"
        found |= {6: [Absent(worker, "Broker", none)], 7: [Absent(worker, "Broker", none)]}
        found |= {10: [ApiRequest("Scheduler", "ecs", "DescribeTasks")]}
        found |= {11: [ApiRequest("Scheduler", "ecs", "RunTask")]}
    return dict(sorted(found.items()))


def forbidden_connections(airflow: int) -> dict[str, list[tuple[str, str, int | None]]]:
    """Return forbidden connections (source, target, port) by name; "*" is any target, None any port."""
    web = "ApiServer" if airflow >= 3 else "Webserver"
    workers = ("Pools/default", "Tasks/executor")
    tasks = (web, "Scheduler", "DagProcessor", "Triggerer", "Migration", *workers)
    found: dict[str, list[tuple[str, str, int | None]]] = {
        "the load balancer reaches no component but the web component": [
            (MACHINE, name, None) for name in tasks if name != web
        ],
        "the load balancer does not reach the execution API": [(MACHINE, web, 8081)],
        "the web component does not use the broker": [(web, "Broker", None)],
        "no worker reaches scheduler, triggerer, DAG processor or another worker": [
            (worker, name, None) for worker in workers for name in ("Scheduler", "Triggerer", "DagProcessor", *workers)
        ],
        "stores open no connection": [(store, "*", None) for store in ("Database", "Broker")],
        "DAG processor and triggerer do not use the broker": [
            (name, "Broker", None) for name in ("DagProcessor", "Triggerer")
        ],
        "the scheduler calls no other component": [("Scheduler", name, None) for name in tasks],
        "the migration calls no other component": [("Migration", name, None) for name in tasks],
    }
    if airflow >= 3:
        found["no worker reaches the database"] = [(worker, "Database", None) for worker in workers]
        found["triggerer and DAG processor have their execution API in process"] = [
            (name, web, None) for name in ("DagProcessor", "Triggerer")
        ]
    return found


def violations(observed: Observed, pairs: list[tuple[str, str, int | None]]) -> list[str]:
    """Return the forbidden connections that were made or attempted."""
    return [
        str(seen)
        for edge, seen in observed.edges.items()
        for source, target, port in pairs
        if edge.source == source and target in ("*", edge.target) and port in (None, edge.port)
    ]


def rows(title: list[str], lines: list[list[str]]) -> str:
    """Return the observations as rows of a Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [title, ["---"] * len(title), *lines])
