"""IP addresses and DNS names of tasks, with network namespaces and on the loopback."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cluster import eventually
from places import networks, why_not_isolated

from cdk_airflow_ecs.local.network import addresses as module
from cdk_airflow_ecs.local.network.address import TaskAddress
from cdk_airflow_ecs.local.network.addresses import Addresses
from cdk_airflow_ecs.local.network.namespaces import NotAllowed
from cdk_airflow_ecs.local.refusal import Refusal

# A Python program: an HTTP server that returns the task's name.
SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(sys.argv[2].encode())
    def log_message(self, *words): pass
http.server.HTTPServer((sys.argv[1], 18793), Handler).serve_forever()
"""
ASK = """
import sys, time, urllib.request
for attempt in range(400):
    try:
        print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode()); break
    except OSError as error:
        time.sleep(.1)
else:
    sys.exit(str(error))
"""


@pytest.fixture(params=networks(), ids=lambda isolated: "namespaces" if isolated else "loopback")
def addresses(request) -> Iterator[Addresses]:
    """Open the addresses of a local run, with network namespaces or on the loopback."""
    found = Addresses.open(isolated=request.param)
    yield found
    found.close()


def run(task: TaskAddress, code: str, *arguments: str) -> str:
    """Run Python in a task and return its output."""
    command = [*task.command_prefix, sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout.strip()


def serve(task: TaskAddress, host: str) -> subprocess.Popen:
    """Start a log server in a task."""
    return subprocess.Popen([*task.command_prefix, sys.executable, "-c", SERVER, host, task.name])


@pytest.mark.slow
def test_two_tasks_can_serve_the_same_port(addresses: Addresses):
    """Other tasks and this process reach the server of each task; the processes of a released task are killed."""
    tasks = [addresses.add(name) for name in ("one", "two", "three")]
    assert len({task.ip for task in tasks}) == 3
    # Airflow's log server listens on all addresses, so two of them need namespaces.
    servers = [serve(task, "0.0.0.0" if addresses.isolated else task.ip) for task in tasks[:2]]
    try:
        for task in tasks[:2]:
            addresses.point(f"{task.name}.airflow.internal", [task.ip])
        for name in ("one", "two"):
            url = addresses.resolve(f"http://{name}.airflow.internal:18793/")
            assert run(tasks[2], ASK, url) == name
        assert run(tasks[0], ASK, f"http://{tasks[1].ip}:18793/") == "two"
        with addresses.connect((tasks[0].ip, 18793), 60) as client, client.makefile("rb") as answer:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert answer.read().endswith(b"one")
        if addresses.isolated:
            addresses.release(tasks[0])
            assert servers[0].wait(60) == -9
    finally:
        for server in servers:
            server.kill()
            server.wait()


def test_running_tasks_resolve_changed_dns_names(addresses: Addresses):
    """Running tasks immediately resolve a changed DNS name to its new addresses."""
    one, two = addresses.add("one"), addresses.add("two")
    addresses.point("api.internal", [one.ip, two.ip])
    look = "import socket,sys;print(*sorted({i[4][0] for i in socket.getaddrinfo(sys.argv[1],80,socket.AF_INET)}))"
    if addresses.isolated:
        assert run(one, look, "api.internal") == f"{one.ip} {two.ip}"
        code = (
            "import socket,sys,time\n"
            "first=socket.gethostbyname('api.internal');print(first,flush=True);sys.stdin.readline()\n"
            "print(socket.gethostbyname('api.internal'))"
        )
        command = [*one.command_prefix, sys.executable, "-c", code]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline().strip() == one.ip
            addresses.point("api.internal", [two.ip])
            assert process.communicate("\n", timeout=120)[0].strip() == two.ip
    else:
        assert run(one, look, addresses.resolve("api.internal")) == one.ip
        addresses.point("api.internal", [two.ip])
        assert addresses.resolve("http://api.internal:8081/") == f"http://{two.ip}:8081/"
    addresses.point("api.internal", [])
    assert addresses.resolve("api.internal") == "api.internal"


def test_the_host_name_of_a_task_resolves_to_its_address(addresses: Addresses):
    """The host name of a task resolves to its address."""
    task = addresses.add("worker")
    own = run(task, "import socket;print(socket.gethostname(), socket.gethostbyname(socket.getfqdn()))").split()
    if addresses.isolated:
        assert own == [task.hostname, task.ip]
        assert task.hostname == f"ip-{task.ip.replace('.', '-')}.ec2.internal"
    else:
        assert own[0] == task.hostname


def test_every_task_reaches_the_metadata_server(addresses: Addresses):
    """Every task reaches the metadata server at an address that AWS SDKs accept."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.client_address[0].encode())

        def log_message(self, *words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = addresses.metadata()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        task = addresses.add("worker")
        assert addresses.metadata_url.startswith(("http://169.254.170.2", "http://127.0.0.1:"))
        assert run(task, ASK, f"{addresses.metadata_url}/v2") == (task.ip if addresses.isolated else "127.0.0.1")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.skipif(bool(why_not_isolated()), reason="needs network namespaces")
def test_new_tasks_do_not_change_the_hardware_address_of_the_bridge():
    """If the bridge's hardware address changed, tasks could not reach the metadata for 20 s."""
    addresses = Addresses.open(isolated=True)
    hub = ["ip", "-n", addresses.hub, "-brief", "link"]
    try:
        addresses.add("first")
        before = subprocess.run([*hub, "show", "br0"], check=True, capture_output=True).stdout
        port = addresses.add("new").ip.rpartition(".")[2]
        subprocess.run([*hub, "set", f"p{port}", "address", "00:00:00:00:00:01"], check=True)
        assert subprocess.run([*hub, "show", "br0"], check=True, capture_output=True).stdout == before
    finally:
        addresses.close()


def test_two_local_runs_have_different_addresses(addresses: Addresses):
    """A second run has other addresses than the first, and the end of the second does not affect the first."""
    task = addresses.add("one")
    other = Addresses.open(isolated=addresses.isolated)
    try:
        assert other.add("one").ip != task.ip
    finally:
        other.close()
    assert run(task, "print('alive')") == "alive"


@pytest.mark.slow
def test_network_namespaces_of_a_killed_run_are_removed():
    """The next run removes the network namespaces of a killed run and kills the processes in them."""
    if reason := why_not_isolated():
        with pytest.raises(Refusal, match="namespaces are not allowed"):
            Addresses.open(isolated=True)
        assert reason
        return
    code = (
        "import os,subprocess\nfrom cdk_airflow_ecs.local.network.addresses import Addresses\n"
        "addresses = Addresses.open(isolated=True)\ntask = addresses.add('left')\n"
        "command = [*task.command_prefix, 'sh', '-c', 'echo in; exec sleep 600']\n"
        "child = subprocess.Popen(command, stdout=-1, stderr=-3)\nchild.stdout.readline()\n"
        "namespace = task.command_prefix[3]\nassert os.path.exists('/run/netns/' + namespace)\n"
        "print(child.pid, namespace, flush=True)\nos.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code]
    killed = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert killed.returncode == -9, killed.stderr
    pid, namespace = killed.stdout.split()
    Addresses.open(isolated=True).close()
    # Wait, because another run on this machine may be removing the namespaces.
    eventually(lambda: not any(Path(folder, namespace).exists() for folder in ("/run/netns", "/etc/netns")), 60)
    eventually(lambda: has_ended(pid), 60)


def has_ended(pid: str) -> bool:
    """Return whether a process has ended or is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_run_without_permission_for_namespaces_uses_the_loopback(monkeypatch: pytest.MonkeyPatch):
    """Without the permission to create namespaces, a run uses the loopback and logs the reason."""

    def refuse() -> None:
        raise NotAllowed("only root may make them")

    monkeypatch.setattr(module.Namespaces, "open", refuse)
    addresses = Addresses.open()
    try:
        assert (addresses.isolated, addresses.reason) == (False, "only root may make them")
        assert addresses.add("one").ip.startswith("127.")
    finally:
        addresses.close()


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("db.internal", "127.0.0.1"),
        ("postgresql://u@db.internal:5432/x?host=db.internal", "postgresql://u@127.0.0.1:5432/x?host=127.0.0.1"),
        ("xdb.internal db.internal.com my-db.internal db.internal-2", None),
        ("Look at db.internal.", "Look at 127.0.0.1."),
        ("read.db.internal", "127.0.0.2"),
    ],
)
def test_only_complete_dns_names_are_replaced_by_addresses(text: str, resolved: str | None):
    """On the loopback, only complete DNS names are replaced by addresses."""
    addresses = Addresses.open(isolated=False)
    addresses.point("db.internal", ["127.0.0.1"])
    addresses.point("read.db.internal", ["127.0.0.2"])
    try:
        assert addresses.resolve(text) == (text if resolved is None else resolved)
    finally:
        addresses.close()


def test_tasks_that_start_in_parallel_get_different_addresses(addresses: Addresses):
    """Tasks that start in parallel threads get different addresses."""
    kept_tasks: list[list[TaskAddress]] = []

    def live() -> None:
        mine = [addresses.add(f"task-{number}") for number in range(4)]
        addresses.point(f"{mine[0].ip}.local", [mine[0].ip])
        kept_tasks.append(mine[1:])
        addresses.release(mine[0])

    threads = [threading.Thread(target=live) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({task.ip for tasks in kept_tasks for task in tasks}) == 6 * 3
