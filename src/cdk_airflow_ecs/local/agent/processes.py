"""Processes that a run starts: each in a session of its own, and recorded so that a later command finds it."""

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
    """One that was recorded.

    Args:
        name: what it is to the user.
        pid: its number, which is also that of its session.
        started: when, as the kernel tells it: a number that was given to another process is noticed.
    """

    name: str
    pid: int
    started: str


class Processes:
    """The processes of one state directory."""

    def __init__(self, folder: Path, identifier: str) -> None:
        """Use *folder* for one file per process."""
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
        """Start one in the background.

        Args:
            name: what it is to the user.
            command: program and arguments. Secrets do not belong here: every process can read them.
            environment: all that it sees, besides :attr:`mark`. The default is this process's own.
            folder: its working folder.
            log: a file, mode 0600, to which its output is appended. The default throws it away.
            prefix: the ``command_prefix`` of a task's address.
            text: its standard input. The default is empty.
            user: who runs it, when this process is root.
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
        """What was recorded and still lives."""
        return [process for process in self._recorded() if _started(process.pid) == process.started]

    def stop(self, process: subprocess.Popen[bytes], seconds: float = 5) -> int:
        """Send SIGTERM to one, wait, and kill what is left of its session; return its exit code."""
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
        """Stop everything that runs of this state directory let live; return the names of what did."""
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
            except (OSError, ValueError):  # it ended, or was being written, just now
                continue

    def _orphans(self) -> Iterator[int]:
        """Processes that carry our mark, whatever became of those that started them."""
        wanted = b"\0" + "".join(f"{name}={value}" for name, value in self.mark.items()).encode() + b"\0"
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                given = (folder / "environ").read_bytes()
            except OSError:
                continue
            if wanted in b"\0" + given + b"\0" and int(folder.name) != os.getpid():
                yield int(folder.name)


def _become(user: str) -> list[str]:
    """The words before a command that root runs as another: only root may enter a namespace, so this comes after."""
    found = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--clear-groups"]


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, which may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process started; None if it has ended, a zombie included."""
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
    """The processes of a session, its leader included."""
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
