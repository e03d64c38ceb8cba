"""Starts the program that speaks TLS for a local store that cannot."""

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
    """Start it in the background.

    Args:
        processes: who starts it.
        name: that of the store.
        address: where it listens.
        port: on which port.
        names: DNS names that its certificate must have, besides the address.
        authority: signs the certificate.
        backend: the socket of the store.
        protocol: how clients ask for TLS.
        log: where its output goes.
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
