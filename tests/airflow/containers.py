"""Runs the containers of a plan as local processes with real servers.

Differences from ECS: the AWS endpoint, the certificates, and ``/opt/airflow``, which is a temporary folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entrypoint import start

from cdk_airflow_ecs.plan import Container, Json, Ref, SecretRef

REPOSITORY = Path(__file__).parents[2]
IMAGE_HOME = "/opt/airflow"


@dataclass
class Machine:
    """A machine that runs a plan's containers.

    Args:
        programs: bin folder of Airflow.
        folder: parent of home folders and logs.
        attributes: values of the plan's references to resources.
        secrets: values of the secrets that the plan refers to.
        substitutes: environment variables that differ from ECS.
    """

    programs: Path
    folder: Path
    attributes: Mapping[tuple[str, str], str]
    secrets: Mapping[tuple[str, str], str]
    substitutes: Mapping[str, str]
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            _signal(process, signal.SIGTERM)
        for process in self._running.values():
            _end(process)

    def environment(self, container: Container) -> dict[str, str]:
        """Return the container's environment variables."""
        home = self.folder / container.name
        home.mkdir(exist_ok=True)
        image = {
            "PATH": f"{self.programs}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "AIRFLOW_HOME": IMAGE_HOME,
        }
        given = {**image, **{name: self.text(value) for name, value in container.environment.items()}}
        return {name: value.replace(IMAGE_HOME, str(home)) for name, value in given.items()} | self.substitutes

    def text(self, value: Any) -> str:
        """Return a value of the plan with its references and secrets resolved."""
        match value:
            case Ref(of, attribute):
                return self.attributes[of, attribute]
            case SecretRef(of, name):
                return self.secrets[of, name]
            case Json(tree):
                return json.dumps(self._tree(tree))
            case str():
                return value
        raise TypeError(f"unknown type of value in a plan: {value!r}")

    def start(self, container: Container) -> None:
        """Start a container in the background; its output is written to its log."""
        with self.log(container).open("w") as log:
            self._running[container.name] = subprocess.Popen(
                self.command(container),
                env=self.environment(container),
                cwd=self.folder / container.name,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, container: Container) -> None:
        """Stop a container as ECS does: SIGTERM to the first process, later SIGKILL to all that remain."""
        process = self._running.pop(container.name)
        process.terminate()
        _end(process)

    def run(self, container: Container, command: list[str] | None = None, timeout: float = 600) -> Any:
        """Run *command* (default: the container's) in the container's environment until it ends."""
        return subprocess.run(
            command or self.command(container),
            env=self.environment(container),
            cwd=self.folder / container.name,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def command(self, container: Container) -> list[str]:
        """Return the command that the official entry point executes."""
        words = [self.text(word) for word in (*container.prefix, *container.command)]
        found = start(self.environment(container), words)
        assert found.is_clean, found
        home = str(self.folder / container.name)
        return [word.replace(IMAGE_HOME, home) for word in found.executes]

    def is_healthy(self, container: Container) -> bool:
        """Run the health check once, as ECS does; return False after a timeout."""
        assert container.health_check is not None
        command = list(container.health_check.command)
        try:
            return self.run(container, command, container.health_check.timeout_seconds).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def wait_until_healthy(self, containers: list[Container], seconds: float = 480) -> None:
        """Wait until each container's health check succeeded, or raise TimeoutError with a log."""
        waiting, end = list(containers), time.monotonic() + seconds
        while waiting:
            waiting = [container for container in waiting if not self.is_healthy(container)]
            died = [c for c in waiting if (p := self._running.get(c.name)) and p.poll() is not None]
            if died or (waiting and time.monotonic() > end):
                first = (died or waiting)[0]
                raise TimeoutError(f"{first.name} is not healthy:\n{self.log(first).read_text()[-4000:]}")
            time.sleep(3)  # a health check takes longer, because it starts Airflow

    def arguments(self, container: Container) -> list[str]:
        """Return the command lines of the container's processes."""
        session = str(self._running[container.name].pid)
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # the process may have ended
                # The fields after the process name, which ends with ")", are state, parent, process group, session.
                if (folder / "stat").read_text().rpartition(")")[2].split()[3] == session:
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
        return found

    def log(self, container: Container) -> Path:
        """Return the path of the container's log."""
        return self.folder / f"{container.name}.log"

    def _tree(self, tree: Any) -> Any:
        if isinstance(tree, Mapping):
            return {name: self._tree(branch) for name, branch in tree.items()}
        if isinstance(tree, list | tuple):
            return [self._tree(branch) for branch in tree]
        return self.text(tree) if isinstance(tree, Ref | SecretRef | Json) else tree


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(90)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
