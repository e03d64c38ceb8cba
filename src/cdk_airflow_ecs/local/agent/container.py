"""One container, run as a process: start, health check and stop with the semantics of ECS."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cdk_airflow_ecs.local.agent.processes import Processes
from cdk_airflow_ecs.local.refusal import Refusal

_IMAGE_HOME: Final = "/opt/airflow"
_OFFICIAL: Final = ("/usr/bin/dumb-init", "--", "/entrypoint")
_INITS: Final = ("/usr/bin/dumb-init", "dumb-init")
_SCRIPT: Final = "/entrypoint.sh"
_EAGER_SECONDS: Final = 2.0
# Defaults of https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html
_DEFAULTS: Final = {"interval": 30, "timeout": 5, "retries": 3, "startPeriod": 0}
_STOP_SECONDS: Final = 30
# Properties of a container definition: first the supported, then the ignored ones (see substitutions.py).
_DONE: Final = frozenset(
    {
        "name",
        "image",
        "command",
        "entryPoint",
        "environment",
        "secrets",
        "dependsOn",
        "healthCheck",
        "essential",
        "stopTimeout",
        "startTimeout",
        "logConfiguration",
        "portMappings",
        "workingDirectory",
        "restartPolicy",
    }
)
_WITHOUT_EFFECT: Final = frozenset(
    {
        "cpu",
        "memory",
        "memoryReservation",
        "linuxParameters",
        "readonlyRootFilesystem",
        "user",
        "ulimits",
        "volumesFrom",
        "mountPoints",
        "systemControls",
        "interactive",
        "pseudoTerminal",
        "dockerLabels",
        "versionConsistency",
        "privileged",
        "repositoryCredentials",
    }
)


@dataclass(kw_only=True)
class Container:
    """One container of a task.

    Args:
        home: local folder that replaces /opt/airflow.
        prefix: command prefix that runs a command in the task's network.
        entrypoint: the image's entry point, used if the definition has none.
        folder: default working directory; default *home*.
        locate: maps image paths in a text to local ones; by default it replaces /opt/airflow with *home*.
        label: name shown to the user.
    """

    spec: Mapping[str, Any]
    environment: Mapping[str, str]
    home: Path
    prefix: Sequence[str]
    log: Path
    processes: Processes
    entrypoint: Sequence[str] = ()
    folder: Path | None = None
    locate: Callable[[str], str] | None = None
    label: str = ""
    exit_code: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    reason: str = ""
    health: str = "UNKNOWN"
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _check: subprocess.Popen[bytes] | None = None
    _check_ends: float = 0
    _next_check: float = 0
    _failures: int = 0
    _kill_at: float | None = None

    @property
    def name(self) -> str:
        """Container name."""
        return str(self.spec["name"])

    @property
    def is_essential(self) -> bool:
        """Whether the task stops when this container exits."""
        return bool(self.spec.get("essential", True))

    @property
    def is_running(self) -> bool:
        """Whether the container was started and has not exited."""
        return self._process is not None and self.exit_code is None

    @property
    def has_check(self) -> bool:
        """Whether the container has a health check."""
        return bool(self._command_of_check())

    @property
    def pid(self) -> int | None:
        """Process id, if started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process; if that fails, set `reason` and `exit_code` as ECS does."""
        words = command(self.spec, self.entrypoint)
        try:
            self._process = self.processes.start(
                self.label,
                self._local(words),
                environment=self.environment,
                folder=self._folder(),
                log=self.log,
                prefix=self.prefix,
            )
        except OSError as error:
            self.reason = f"CannotStartContainerError: {error}"
            self.exit_code, self.ended_at = 127, self.started_at
            return
        self.started_at = time.monotonic()
        self.health, self._failures = "UNKNOWN", 0
        self._next_check = self.started_at + min(_EAGER_SECONDS, self._setting("interval"))

    def poll(self) -> None:
        """Update exit code and health."""
        if self._process is None or self.exit_code is not None:
            return
        code = self._process.poll()
        if code is not None:
            self._ended(code)
        elif self._kill_at is not None and time.monotonic() > self._kill_at:
            self._ended(self.processes.stop(self._process, 0))
        elif self.has_check and self._kill_at is None:
            self._poll_check()

    def stop(self, longest: float | None = None) -> None:
        """Send SIGTERM now, and SIGKILL after the stop timeout, at most *longest* seconds later."""
        if not self.is_running or self._kill_at is not None or self._process is None:
            return
        seconds = float(self.spec.get("stopTimeout") or _STOP_SECONDS)
        self._kill_at = time.monotonic() + min(seconds, seconds if longest is None else longest)
        # dumb-init forwards a signal to its child's process group, or only to the child (DUMB_INIT_SETSID=0).
        alone = self.environment.get("DUMB_INIT_SETSID") == "0" or not has_init(self.spec, self.entrypoint)
        try:
            (os.kill if alone else os.killpg)(self._process.pid, signal.SIGTERM)
        except ProcessLookupError:
            return

    def last_lines(self, number: int = 30) -> list[str]:
        """Return the last lines of the container's output."""
        try:
            return self.log.read_text(errors="replace").splitlines()[-number:]
        except FileNotFoundError:
            return []

    def _ended(self, code: int) -> None:
        self.ended_at = time.monotonic()
        if self._check is not None:
            self._check.kill()
            self._check.wait()
            self._check = None
        if self._process is not None:
            self.processes.stop(self._process, 0)  # kill what remains of its session
        # The convention of shells and Docker: 128 + signal.
        self.exit_code = 128 - code if code < 0 else code

    def _folder(self) -> Path:
        given = self.spec.get("workingDirectory")
        return Path(self._located(given)) if given else self.folder or self.home

    def _located(self, text: str) -> str:
        return self.locate(text) if self.locate else text.replace(_IMAGE_HOME, str(self.home))

    def _local(self, words: Sequence[str]) -> list[str]:
        found = [self._located(word) for word in words]
        found = [str(self.home / _SCRIPT.strip("/")) if word == _SCRIPT else word for word in found]
        program = shutil.which(found[0], path=self.environment.get("PATH", ""))
        if program is None:
            raise FileNotFoundError(f'exec: "{found[0]}": executable file not found in $PATH')
        # Do not resolve symbolic links: Python finds its virtual environment by this path.
        return [program, *found[1:]]

    # Health check

    def _command_of_check(self) -> list[str]:
        words = list((self.spec.get("healthCheck") or {}).get("command", []))
        if not words or words[0] == "NONE":
            return []
        if words[0] == "CMD-SHELL":
            return ["/bin/sh", "-c", *words[1:]]
        return words[1:] if words[0] == "CMD" else words

    def _setting(self, name: str) -> float:
        given = (self.spec.get("healthCheck") or {}).get(name)
        return float(_DEFAULTS[name] if given is None else given)

    def _poll_check(self) -> None:
        now = time.monotonic()
        if self._check is None:
            if now < self._next_check:
                return
            self._check_ends = now + self._setting("timeout")
            self._check = subprocess.Popen(
                [*self.prefix, *self._local(self._command_of_check())],
                env={**self.environment, **self.processes.mark},
                cwd=self._folder(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            return
        code = self._check.poll()
        if code is None:
            if now < self._check_ends:
                return
            self._check.kill()
            code = self._check.wait() or 1
        self._check = None
        self._judge(code == 0)

    def _judge(self, succeeded: bool) -> None:
        now = time.monotonic()
        if succeeded:
            self.health, self._failures = "HEALTHY", 0
        elif self.started_at is not None and (
            self.health == "HEALTHY" or now - self.started_at > self._setting("startPeriod")
        ):
            self._failures += 1
            if self._failures >= self._setting("retries"):
                self.health = "UNHEALTHY"
        waits = self._setting("interval")
        if self.health == "UNKNOWN" and not self._failures:  # check often until the first result
            waits = min(waits, _EAGER_SECONDS)
        self._next_check = now + waits


def refuse_unknown(spec: Mapping[str, Any]) -> None:
    """Raise a Refusal if a container definition uses unsupported properties."""
    unknown = sorted(name for name, value in spec.items() if value and name not in _DONE | _WITHOUT_EFFECT)
    if unknown:
        raise Refusal(f"container {spec['name']}: {', '.join(unknown)} is not supported locally")


def has_init(spec: Mapping[str, Any], entrypoint: Sequence[str] = ()) -> bool:
    """Return whether dumb-init starts the container."""
    return (spec.get("entryPoint") or entrypoint or _OFFICIAL)[0] in _INITS


def command(spec: Mapping[str, Any], entrypoint: Sequence[str] = ()) -> list[str]:
    """Return the command of a container; see the substitution "entry point".

    The official entry point runs `bash` and `python` directly and passes everything else to `airflow`.

    Examples:
        >>> command({"entryPoint": ["/usr/bin/dumb-init", "--", "/entrypoint"], "command": ["scheduler"]})
        ['airflow', 'scheduler']
        >>> command({"entryPoint": ["sh", "-c"], "command": ["true"]})
        ['sh', '-c', 'true']
    """
    words = [*(spec.get("entryPoint") or entrypoint or _OFFICIAL), *(spec.get("command") or [])]
    if words[0] in _INITS:
        words = words[words.index("--") + 1 :] if "--" in words else words[1:]
    if words[:1] != ["/entrypoint"]:
        return words
    if words[1:2] and words[1] in ("bash", "python"):
        return words[1:]
    return ["airflow", *(words[2:] if words[1:2] == ["airflow"] else words[1:])]


def script(source: Path, home: Path) -> Path:
    """Copy an image's /entrypoint.sh into a container's home, and replace image paths in it."""
    official = home / "entrypoint"
    official.write_text('#!/bin/sh\ncase "$1" in bash|python) exec "$@";; airflow) shift;; esac\nexec airflow "$@"\n')
    own = home / _SCRIPT.strip("/")
    text = re.sub(r"(?<![\w./-])/usr/bin/dumb-init\s+--\s+", "", source.read_text())
    text = re.sub(r"(?<![\w./-])/entrypoint(?![\w./-])", str(official), text)
    own.write_text(text.replace(_IMAGE_HOME, str(home)))
    for file in (official, own):
        file.chmod(0o700)
    return own
