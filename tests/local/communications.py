"""The eleven communications that this library set out from: how each is seen in a run, or why there is none."""

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
# Rules that no run on this machine can use.
NOT_HERE = {
    Edge(CLIENTS, "Web", 80): "the load balancer's stand-in listens on 127.0.0.1, in no network of the cluster",
}


# What every client says when it connects.
_OF_THE_CLIENT = ("PING", "CLIENT", "SELECT", "INFO", "AUTH", "HELLO")


@dataclass(frozen=True)
class Over:
    """A connection that must be seen."""

    source: str
    target: str
    port: int

    def judge(self, observed: Observed) -> tuple[bool, str, str]:
        """Whether it holds; the rule that allows it; what was seen."""
        edge = Edge(self.source, self.target, self.port)
        seen = observed.edges.get(edge)
        ok = bool(seen and seen.times) and edge in observed.rules.admitted
        return ok, str(edge) if edge in observed.rules.admitted else "**none**", str(seen or "**not seen**")


@dataclass(frozen=True)
class Says:
    """Commands to the broker that must be seen, in one of its databases."""

    source: str
    database: int

    def judge(self, observed: Observed) -> tuple[bool, str, str]:
        """Whether it holds; the rule that allows it; what was seen."""
        ok, rule, text = Over(self.source, "Broker", 6379).judge(observed)
        done = {
            command: times
            for (name, database, command), times in sorted(observed.commands.items(), key=lambda item: -item[1])
            if (name, database) == (self.source, self.database) and command not in _OF_THE_CLIENT
        }
        told = ", ".join(f"{command} {times} times" for command, times in list(done.items())[:4]) or "**nothing**"
        return ok and bool(done), rule, f"{text}; in database {self.database}: {told}"


@dataclass(frozen=True)
class Asks:
    """A request to the AWS API that must be seen; for S3 *what* is what the bucket holds."""

    source: str
    service: str
    what: str = ""

    def judge(self, observed: Observed) -> tuple[bool, str, str]:
        """Whether it holds; the rule that allows it; what was seen."""
        told = {
            f"{what} {times} times": times
            for (name, service, what), times in sorted(observed.calls.items())
            if (name, service) == (self.source, self.service) and self.what in what
        }
        out = f"way out of {self.source}" if self.source in observed.rules.unbound else "**none**"
        text = f"{self.source} → {self.service}: {', '.join(told)}" if told else "**not seen**"
        return bool(told) and self.source in observed.rules.unbound, out, text


@dataclass(frozen=True)
class Never:
    """What must not be seen: connections to a component, or requests for DAG files.

    Args:
        source: who does not connect.
        target: to whom.
        because: why there is no need.
        tries: whether Airflow may try nevertheless; nobody answers.
    """

    source: str
    target: str
    because: str
    tries: bool = False

    def judge(self, observed: Observed) -> tuple[bool, str, str]:
        """Whether it holds; that no rule allows it; how many there were."""
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


# Airflow asks the host of every running task for its log, also where none is served; it waits 5 s in vain for the
# security group that lets nothing through ([api] log_fetch_timeout_sec).
TRIED = frozenset(Edge(web, "Tasks/executor", 8793) for web in ("ApiServer", "Webserver"))

Expected: TypeAlias = Over | Says | Asks | Never


def eleven(airflow: int, executor: str) -> dict[int, list[Expected]]:
    """How each of the eleven is seen.

    Args:
        airflow: Airflow's major version.
        executor: "celery" (results and commands in Redis), "sqs" or "ecs".
    """
    web = "ApiServer" if airflow >= 3 else "Webserver"
    worker = "Tasks/executor" if executor == "ecs" else "Pools/default"
    live: list[Expected] = [Over(web, worker, 8793)]
    if executor == "ecs":
        live = [
            Never(web, worker, "a task of the ECS executor serves no logs", tries=True),
            Asks(web, "s3", "task logs"),
        ]
    to_database: list[Expected] = [Over(worker, "Database", 5432)]
    if airflow >= 3:
        to_database = [
            Never(worker, "Database", "Airflow 3 asks the execution API instead"),
            Over(worker, web, 8081),
        ]
    found: dict[int, list[Expected]] = {
        1: live,
        2: [Never(web, "DAG files", "structure and code come from the database")],
        3: [Over(web, "Database", 5432)],
        4: [Asks(worker, "s3", "DAG files")],
        5: to_database,
        8: [
            Never("Scheduler", "DAG files", "the DAG processor reads them"),
            Asks("DagProcessor", "s3", "DAG files"),
        ],
        9: [Over("Scheduler", "Database", 5432)],
    }
    if executor == "celery":
        # One Redis is both: results are in its database 1, commands in 0.
        found |= {6: [Says(worker, 1)], 7: [Says(worker, 0)]}
        found |= {10: [Says("Scheduler", 1)], 11: [Says("Scheduler", 0)]}
    elif executor == "sqs":
        found |= {6: [Asks(worker, "dynamodb")], 7: [Asks(worker, "sqs")]}
        found |= {10: [Asks("Scheduler", "dynamodb")], 11: [Asks("Scheduler", "sqs")]}
    else:
        none = "there is no Celery; a task's end is its container's"
        found |= {6: [Never(worker, "Broker", none)], 7: [Never(worker, "Broker", none)]}
        found |= {10: [Asks("Scheduler", "ecs", "DescribeTasks")], 11: [Asks("Scheduler", "ecs", "RunTask")]}
    return dict(sorted(found.items()))


def must_not(airflow: int) -> dict[str, list[tuple[str, str, int | None]]]:
    """Connections that must not exist: source, target, port; "*" is everything, None any port."""
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


def broken(observed: Observed, pairs: list[tuple[str, str, int | None]]) -> list[str]:
    """Which of such connections were seen, or tried."""
    return [
        str(seen)
        for edge, seen in observed.edges.items()
        for source, target, port in pairs
        if edge.source == source and target in ("*", edge.target) and port in (None, edge.port)
    ]


def rows(title: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [title, ["---"] * len(title), *lines])
