"""Starts the TLS proxy for a local database or cache server without TLS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from cdk_airflow_ecs.local.agent.processes import Processes
from cdk_airflow_ecs.local.network.address import TaskAddress
from cdk_airflow_ecs.local.network.certificate_authority import Authority

_PROXY: Final = Path(__file__).with_name("tls_proxy.py")


def start_tls_proxy(
    processes: Processes,
    name: str,
    *,
    address: TaskAddress,
    port: int,
    names: Sequence[str],
    authority: Authority,
    backend: Path,
    protocol: Literal["postgres", "redis"],
    log: Path,
) -> subprocess.Popen[bytes]:
    """Start the TLS proxy in the background.

    *backend* is the socket of the server without TLS; *names* are additional DNS names in the certificate.
    """
    issued = authority.issue([*names, address.ip, "localhost"])
    settings = {
        "listen": [address.ip, port],
        "certificate": str(issued.certificate),
        "key": str(issued.key),
        "backend": str(backend),
        "protocol": protocol,
    }
    return processes.start(
        f"{name} (TLS)",
        [sys.executable, "-IS", str(_PROXY)],
        environment={"PATH": os.environ["PATH"]},
        log=log,
        prefix=address.command_prefix,
        text=json.dumps(settings),
    )
