"""Connections are recorded and evaluated, with artificial and real packets."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from broker import read
from cluster import eventually
from communications import (
    Absent,
    ApiRequest,
    BrokerCommands,
    Connection,
    expected_communications,
    forbidden_connections,
    violations,
)
from edges import AGENT, AWS, MACHINE, METADATA, Edge, Observed, Rules, edges
from places import why_not_isolated
from wire import Flow, Socket, Wire, parse, program, sockets

from cdk_airflow_ecs.local.network.addresses import Addresses

ONE, TWO = "198.18.7.11", "198.18.7.12"
GROUPS = [
    ("default", "default VPC security group", []),
    ("web", "Load balancer of Airflow", [(80, None)]),
    ("api", "Airflow ApiServer", [(8080, "web"), (8081, "worker")]),
    ("worker", "Airflow Pools/default", [(8793, "api")]),
    ("database", "Metadata database of Airflow", [(5432, "api")]),
    ("scheduler", "Airflow Scheduler", []),
    ("broker", "Celery broker of Airflow", [(6379, "scheduler")]),
]


def packet(source: str, target: str, ports: tuple[int, int], flags: int = 0, sequence: int = 1) -> bytes:
    """Return an IPv4 packet: TCP with *flags*, or UDP without."""
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 40, 77, 0, 64, 6 if flags else 17, 0) + ends
    return head + struct.pack("!HHIIBBHHH", *ports, sequence, 0, 0x50, flags, 0, 0, 0)


def described() -> list[dict]:
    """Return security groups as DescribeSecurityGroups does."""

    def rule(port: int, source: str | None) -> dict:
        pairs, ranges = ([{"GroupId": source}], []) if source else ([], [{"CidrIp": "10.0.0.0/16"}])
        return {
            "IpProtocol": "tcp",
            "FromPort": port,
            "ToPort": port,
            "UserIdGroupPairs": pairs,
            "IpRanges": ranges,
        }

    out = {"everywhere": {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}}
    out["nowhere"] = {"IpProtocol": "icmp", "IpRanges": [{"CidrIp": "255.255.255.255/32"}]}
    return [
        {
            "GroupId": identity,
            "Description": text,
            "IpPermissions": [rule(*each) for each in rules],
            "IpPermissionsEgress": [out["nowhere" if identity in ("database", "broker") else "everywhere"]],
        }
        for identity, text, rules in GROUPS
    ]


def observed(*pairs: tuple[str, str, int], calls: dict | None = None, commands: dict | None = None) -> Observed:
    """Return the observations of a run with these connections."""
    addresses = {MACHINE: "198.18.7.1", AGENT: METADATA, "ApiServer": ONE, "Pools/default": TWO}
    addresses |= {"Database": "198.18.7.13", "Broker": "198.18.7.14", "Scheduler": "198.18.7.15", AWS: "198.18.7.1"}
    wire = Wire(Path())
    for number, (source, target, port) in enumerate(pairs):
        flow = Flow(addresses.get(source, source), addresses.get(target, target), port)
        wire.attempts[flow].add((number, 1))
        wire.accepted[flow].add((number, 1))
    names = {address: name for name, address in addresses.items() if name != AWS}
    return Observed(edges(wire, names, 36111), calls or {}, Rules.read(described()), commands or {})


@pytest.mark.parametrize(
    ("data", "expected", "accepted"),
    [
        (packet(ONE, TWO, (40000, 8793), 0x02, 5), Flow(ONE, TWO, 8793), False),
        (packet(TWO, ONE, (8793, 40000), 0x12, 9), Flow(ONE, TWO, 8793), True),
        (packet(ONE, TWO, (40000, 53)), Flow(ONE, TWO, 53, "udp"), False),
    ],
)
def test_syn_and_acknowledgement_belong_to_the_same_flow(data, expected, accepted):
    """A client's SYN packet and the server's acknowledgement belong to the same flow."""
    found = parse(data)
    assert (found.flow, found.accepted) == (expected, accepted)
    assert found.one[0] == 40000


def test_sockets_are_read_from_proc_net_tcp():
    """IPv4 addresses and ports are read from /proc/net/tcp and tcp6; pure IPv6 connections are skipped."""
    text = "head\n" + "\n".join(
        f"  0: {local} {remote} 01 0:0 00:0 0 0 0 {inode} 1"
        for local, remote, inode in [
            ("0B0712C6:9C40", "0C0712C6:2259", 77),
            ("0000000000000000FFFF00000C0712C6:2259", "0000000000000000FFFF00000B0712C6:9C40", 78),
            ("000080FE00000000FF005450010000FE:2259", "000080FE00000000FF005450010000FF:9C40", 79),
            ("00000000000000000000000000000000:2259", "00000000000000000000000000000000:0000", 80),
        ]
    )
    assert list(sockets(text)) == [
        Socket((ONE, 40000), (TWO, 8793), 77),
        Socket((TWO, 8793), (ONE, 40000), 78),
        Socket(("0.0.0.0", 8793), ("0.0.0.0", 0), 80),
    ]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/x/bin/python3.12", "/x/bin/airflow", "celery", "worker", "--queues", "default"], "airflow celery worker"),
        (["airflow supervisor: 01a20509-df64-76fa-b074-cb1829b87294"], "airflow supervisor"),
        (["[celeryd: celery@ip-198-18-1-17.ec2.internal:MainProcess]"], "celeryd"),
        (["python", "-c", "import socket, os"], "python -c"),
        (["postgres: airflow airflow 198.18.1.15(40000) idle"], "postgres airflow airflow"),
        (["/usr/bin/redis-server 198.18.1.12:6379"], "redis-server"),
        ([""], "?"),
    ],
)
def test_the_name_of_a_client_process_is_short(words, name):
    """The short name of a process has no interpreter, folder, options or numbers."""
    assert program(words) == name


def test_security_group_rules_get_the_names_of_the_plan():
    """Security group rules get the plan's names; the VPC's default group is skipped."""
    rules = Rules.read(described())
    assert rules.admitted == {
        Edge("Clients", "Web", 80),
        Edge("Web", "ApiServer", 8080),
        Edge("Pools/default", "ApiServer", 8081),
        Edge("ApiServer", "Pools/default", 8793),
        Edge("ApiServer", "Database", 5432),
        Edge("Scheduler", "Broker", 6379),
    }
    assert rules.unbound == {"Web", "ApiServer", "Pools/default", "Scheduler"}


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        ("ApiServer", "Pools/default", 8793, True),
        ("ApiServer", "Pools/default", 8794, False),
        ("Pools/default", "Database", 5432, False),
        ("Pools/default", "Pools/default", 8793, False),
        ("Pools/default", AWS, 36111, True),
        ("Pools/default", AWS, 22, False),  # another port of this machine
        ("Pools/default", AGENT, 80, True),
        ("Database", AWS, 36111, False),
        ("Database", "ApiServer", 8080, False),
        (MACHINE, "ApiServer", 8080, True),
        (MACHINE, "ApiServer", 8081, False),
        (MACHINE, "Database", 5432, True),
        ("198.18.7.99", "Database", 5432, False),
        ("ApiServer", "198.18.7.99", 5432, False),
    ],
)
def test_a_connection_that_no_security_group_rule_allows_is_found(source, target, port, allowed):
    """A connection that no security group rule allows is found, even if its address is unknown."""
    assert [seen.times for seen in observed((source, target, port)).undeclared] == ([] if allowed else [1])


def test_expected_and_forbidden_connections_are_evaluated():
    """Expected connections need a rule, expected requests are sent, forbidden connections are absent."""
    calls = {("Pools/default", "s3", "GET DAG files"): 3}
    found = observed(("ApiServer", "Pools/default", 8793), ("Pools/default", "Database", 5432), calls=calls)
    judged = {
        Connection("ApiServer", "Pools/default", 8793): True,
        Connection("Pools/default", "ApiServer", 8081): False,  # this connection was not made
        Connection("Pools/default", "Database", 5432): False,  # no rule allows this connection
        ApiRequest("Pools/default", "s3", "DAG files"): True,
        ApiRequest("ApiServer", "s3", "DAG files"): False,
        Absent("ApiServer", "DAG files", "why"): True,
        Absent("Pools/default", "DAG files", "why"): False,
        Absent("Pools/default", "Database", "why"): False,
        Absent("ApiServer", "Database", "a rule exists"): False,
        Absent("Database", "ApiServer", "why"): True,
    }
    assert {each: each.judge(found)[0] for each in judged} == judged
    assert violations(found, forbidden_connections(3)["no worker reaches the database"])
    assert not violations(found, forbidden_connections(3)["stores open no connection"])
    assert violations(observed(("Database", "ApiServer", 9)), forbidden_connections(3)["stores open no connection"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('+1339518083.107412 [0 198.18.7.11:60866] "BRPOP" "default" "1"', (ONE, 0, "BRPOP")),
        ('+1339518083.107412 [1 198.18.7.12:60866] "set" "celery-task-meta-1" "{}"', (TWO, 1, "SET")),
        ("+OK", None),
        ("", None),
    ],
)
def test_client_and_command_are_read_from_redis_monitor(line, expected):
    """Client, database and command are read from the output of Redis's MONITOR."""
    assert read(line) == expected


def test_broker_commands_are_assigned_to_their_database():
    """Commands in Redis database 0 (messages) do not count for database 1 (results)."""
    found = observed(
        ("Scheduler", "Broker", 6379), commands={("Scheduler", 0, "LPUSH"): 2, ("Scheduler", 1, "PING"): 9}
    )
    judged = [BrokerCommands("Scheduler", database).judge(found) for database in (0, 1)]
    assert ["LPUSH 2 times" in text for _, _, text in judged] == [True, False]
    assert [ok for ok, _, _ in judged] == [True, False]


@pytest.mark.parametrize("executor", ["celery", "sqs", "ecs"])
@pytest.mark.parametrize("airflow", [2, 3])
def test_all_eleven_communications_have_expectations(airflow, executor):
    """All eleven communications have expectations, for every release and executor."""
    assert list(expected_communications(airflow, executor)) == list(range(1, 12))


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not_isolated()), reason=f"needs network namespaces: {why_not_isolated()}")
def test_every_connection_and_attempt_between_tasks_is_recorded(tmp_path):
    """Every connection and refused attempt is recorded once, with the client process's name."""
    addresses = Addresses.open(isolated=True)
    (tmp_path / "run.json").write_text(json.dumps({"pid": os.getpid()}))
    serve = "import socket,time; s=socket.create_server(('0.0.0.0', 8793)); print('up', flush=True); time.sleep(600)"
    connect = """
import socket, sys
for number in range(20):
    socket.create_connection((sys.argv[1], 8793)).close()
try:
    socket.create_connection((sys.argv[1], 99))
except ConnectionRefusedError:
    kept = socket.create_connection((sys.argv[1], 8793))
    input()
"""
    one, two = addresses.add("one"), addresses.add("two")
    pair, flow = (one.ip, two.ip), Flow(one.ip, two.ip, 8793)
    server = subprocess.Popen([*two.command_prefix, sys.executable, "-c", serve], stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"up\n"
        with Wire(tmp_path) as wire:
            eventually(lambda: wire.opened is not None, 60)
            words = [*one.command_prefix, sys.executable, "-c", connect, two.ip]
            with subprocess.Popen(words, stdin=subprocess.PIPE) as client:
                # The client keeps its last connection open, so that its process can be found.
                eventually(lambda: len(wire.accepted.get(flow, ())) >= 21 and wire.clients.get((*pair, 8793)), 60)
                client.communicate(b"\n")
            assert client.returncode == 0
            assert wire.losses() == 0
        assert {key: len(found) for key, found in wire.attempts.items()} == {flow: 21, Flow(one.ip, two.ip, 99): 1}
        assert {key: len(found) for key, found in wire.accepted.items()} == {flow: 21}
        assert wire.clients[one.ip, two.ip, 8793] == {"python -c"}
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        addresses.close()
