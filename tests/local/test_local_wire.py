"""What is seen of a cluster's connections, and how it is judged: on packets and groups made here, and on real ones."""

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
from communications import Asks, Never, Over, Says, broken, eleven, must_not
from edges import AGENT, AWS, MACHINE, METADATA, Edge, Observed, Rules, edges
from places import why_not_isolated
from wire import Flow, Socket, Wire, heard, program, sockets

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
    """An IPv4 packet; of UDP where there are no flags."""
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 40, 77, 0, 64, 6 if flags else 17, 0) + ends
    return head + struct.pack("!HHIIBBHHH", *ports, sequence, 0, 0x50, flags, 0, 0, 0)


def described() -> list[dict]:
    """The groups as DescribeSecurityGroups tells them."""

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
    """What is seen if these connections are made."""
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
    ("given", "wanted", "accepted"),
    [
        (packet(ONE, TWO, (40000, 8793), 0x02, 5), Flow(ONE, TWO, 8793), False),
        (packet(TWO, ONE, (8793, 40000), 0x12, 9), Flow(ONE, TWO, 8793), True),
        (packet(ONE, TWO, (40000, 53)), Flow(ONE, TWO, 53, "udp"), False),
    ],
)
def test_a_packet_is_read(given, wanted, accepted):
    """The first packet names who asks, and the answer belongs to the same connections."""
    found = heard(given)
    assert (found.flow, found.accepted) == (wanted, accepted)
    assert found.one[0] == 40000


def test_proc_is_read():
    """Addresses and ports of both families are told; what is IPv6 alone is not."""
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
def test_a_process_has_a_short_name(words, name):
    """Without interpreter, folder, options and numbers."""
    assert program(words) == name


def test_rules_are_read():
    """Under the names of the plan; the VPC's own group is nobody's."""
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
def test_a_connection_without_a_rule_is_found(source, target, port, allowed):
    """What no rule admits is named, also from and to addresses that nobody has."""
    assert [seen.times for seen in observed((source, target, port)).undeclared] == ([] if allowed else [1])


def test_what_is_seen_is_judged():
    """A connection must be seen and have a rule, a request must be made, and what must not be must not be."""
    calls = {("Pools/default", "s3", "GET DAG files"): 3}
    found = observed(("ApiServer", "Pools/default", 8793), ("Pools/default", "Database", 5432), calls=calls)
    judged = {
        Over("ApiServer", "Pools/default", 8793): True,
        Over("Pools/default", "ApiServer", 8081): False,  # not seen
        Over("Pools/default", "Database", 5432): False,  # seen, without a rule
        Asks("Pools/default", "s3", "DAG files"): True,
        Asks("ApiServer", "s3", "DAG files"): False,
        Never("ApiServer", "DAG files", "why"): True,
        Never("Pools/default", "DAG files", "why"): False,
        Never("Pools/default", "Database", "why"): False,
        Never("ApiServer", "Database", "a rule exists"): False,
        Never("Database", "ApiServer", "why"): True,
    }
    assert {each: each.judge(found)[0] for each in judged} == judged
    assert broken(found, must_not(3)["no worker reaches the database"])
    assert not broken(found, must_not(3)["stores open no connection"])
    assert broken(observed(("Database", "ApiServer", 9)), must_not(3)["stores open no connection"])


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('+1339518083.107412 [0 198.18.7.11:60866] "BRPOP" "default" "1"', (ONE, 0, "BRPOP")),
        ('+1339518083.107412 [1 198.18.7.12:60866] "set" "celery-task-meta-1" "{}"', (TWO, 1, "SET")),
        ("+OK", None),
        ("", None),
    ],
)
def test_what_the_broker_is_told_is_read(line, wanted):
    """Who gave which command, and in which database."""
    assert read(line) == wanted


def test_results_and_commands_are_told_apart():
    """A scheduler that only sends commands has not been seen to read results."""
    found = observed(
        ("Scheduler", "Broker", 6379), commands={("Scheduler", 0, "LPUSH"): 2, ("Scheduler", 1, "PING"): 9}
    )
    judged = [Says("Scheduler", database).judge(found) for database in (0, 1)]
    assert ["LPUSH 2 times" in text for _, _, text in judged] == [True, False]
    assert [ok for ok, _, _ in judged] == [True, False]


@pytest.mark.parametrize("executor", ["celery", "sqs", "ecs"])
@pytest.mark.parametrize("airflow", [2, 3])
def test_all_eleven_are_there(airflow, executor):
    """None is forgotten on any line of Airflow, with any executor."""
    assert list(eleven(airflow, executor)) == list(range(1, 12))


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not_isolated()), reason=f"needs network namespaces: {why_not_isolated()}")
def test_every_connection_is_heard(tmp_path):
    """Short ones too, each once; who was refused, and who opened those that stay."""
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
                # It keeps the last one open until it was seen whose it is.
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
