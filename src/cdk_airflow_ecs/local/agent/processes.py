"""Processes of a local cluster: each has its own session and a file, with which later commands can stop it."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_MARK = "AIRFLOW_ECS_LOCAL"


@dataclass(frozen=True, slots=True)
class Process:
    """A recorded process.

    Args:
        pid: process id, which is also the session id.
        started: start time from the kernel, to detect a reused pid.
    """

    name: str
    pid: int
    started: str


class Processes:
    """The processes of one state directory."""

    def __init__(self, folder: Path, identifier: str) -> None:
        self._folder = folder
        self.mark: dict[str, str] = {_MARK: identifier}

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        log: Path | None = None,
        prefix: Sequence[str] = (),
        text: str | None = None,
        user: str | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process in the background.

        Args:
            name: name shown to the user.
            command: program and arguments, without secrets, because every user can read them.
            environment: default: that of this process; :attr:`mark` is added.
            folder: working directory.
            log: file (mode 0600) to append output to.
            prefix: `TaskAddress.command_prefix`, which enters the task's network.
            text: standard input.
            user: user to run as, if this process is root.
        """
        given = dict(os.environ if environment is None else environment)
        become = _become(user) if user and os.geteuid() == 0 else []
        output = os.open(log or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            process = subprocess.Popen(
                [*prefix, *become, *command],
                env={**given, **self.mark},
                cwd=folder,
                stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=0o077,
            )
        finally:
            os.close(output)
        self._record(Process(name, process.pid, _started(process.pid) or ""))
        if text is not None:
            assert process.stdin is not None
            with process.stdin as stream:
                stream.write(text.encode())
        return process

    def running(self) -> list[Process]:
        """Return the recorded processes that are still alive."""
        return [process for process in self._recorded() if _started(process.pid) == process.started]

    def stop(self, process: subprocess.Popen[bytes], seconds: float = 5) -> int:
        """Send SIGTERM, wait, kill what remains of the session and return the exit code."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
        for pid in _session(process.pid):
            _signal(pid, signal.SIGKILL)
        code = process.wait()
        (self._folder / f"{process.pid}.json").unlink(missing_ok=True)
        return code

    def stop_all(self, seconds: float = 5) -> list[str]:
        """Stop all processes of this state directory, and return their names."""
        found = self.running()
        pids = [process.pid for process in found]
        for pid in pids:
            _signal(pid, signal.SIGTERM)
        end = time.monotonic() + seconds
        while any(map(_lives, pids)) and time.monotonic() < end:
            time.sleep(0.05)
        left = {member for leader in pids for member in _session(leader)}
        for pid in left.union(self._orphans()):
            _signal(pid, signal.SIGKILL)
        for file in self._folder.glob("*.json"):
            file.unlink()
        return [process.name for process in found]

    def _record(self, process: Process) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file = self._folder / f"{process.pid}.json"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump({"name": process.name, "pid": process.pid, "started": process.started}, stream)

    def _recorded(self) -> Iterator[Process]:
        for file in sorted(self._folder.glob("*.json")):
            try:
                yield Process(**json.loads(file.read_text()))
            except (OSError, ValueError):  # the process has just ended, or its file is being written
                continue

    def _orphans(self) -> Iterator[int]:
        wanted = b"\0" + "".join(f"{name}={value}" for name, value in self.mark.items()).encode() + b"\0"
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                given = (folder / "environ").read_bytes()
            except OSError:
                continue
            if wanted in b"\0" + given + b"\0" and int(folder.name) != os.getpid():
                yield int(folder.name)


def _become(user: str) -> list[str]:
    """Return the command prefix that drops root rights; it must follow the namespace prefix, which requires them."""
    found = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--clear-groups"]


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the process name, which may contain spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _started(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        fields = _stat(pid)
        return fields[19] if fields and fields[0] != "Z" else None
    ran = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, when = ran.stdout.strip().partition(" ")
    return when.strip() if state and not state.startswith("Z") else None


def _lives(pid: int) -> bool:
    return _started(pid) is not None


def _session(leader: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields and fields[3] == str(leader):
            found.append(int(folder.name))
    return found or [leader]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return
