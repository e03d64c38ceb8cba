"""Servers that would listen on all addresses listen only on the loopback if tasks share the machine's network."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cdk_airflow_ecs.local.network.addresses import Addresses

SIX = "('::', port), family=socket.AF_INET6"
SERVERS = {
    "socket": "s=socket.socket(); s.bind(('0.0.0.0', port)); names=[s.getsockname()]",
    "any": "s=socket.create_server(('', port)); names=[s.getsockname()]",
    "dual": f"s=socket.create_server({SIX}, dualstack_ipv6=True); names=[s.getsockname()]",
    "six": f"s=socket.create_server({SIX}); names=[s.getsockname()]",
    "asyncio": (
        "import asyncio\n"
        "async def serve(): return await asyncio.get_running_loop().create_server(asyncio.Protocol, '', port)\n"
        "names=[s.getsockname() for s in asyncio.run(serve()).sockets or ()] or [('127.0.0.1', port)]"
    ),
}
ASKED = (
    "import socket, sys\n"
    "with socket.socket() as free: free.bind(('127.0.0.1', 0)); port = free.getsockname()[1]\n"
    "{}\n"
    "print(*{{name[0] for name in names}})\n"
    "print(socket.gethostbyname(socket.getfqdn()))\n"
    "try:\n    import uvloop\n    print('uvloop')\nexcept ImportError: print('no uvloop')\n"
)


@pytest.mark.parametrize("how", SERVERS)
def test_a_server_on_all_addresses_listens_only_on_the_loopback(how):
    """A server that binds to all addresses, such as Airflow's log server, listens only on the loopback."""
    addresses = Addresses.open(isolated=False)
    try:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": addresses.python_path}
        command = [sys.executable, "-c", ASKED.format(SERVERS[how])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    finally:
        addresses.close()
    assert done.returncode == 0, done.stderr
    found, name, loop = done.stdout.splitlines()
    assert set(found.split()) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert (name, loop) == ("127.0.0.1", "no uvloop")
