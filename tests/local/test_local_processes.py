"""Recorded processes are found and stopped, even after their parents have ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from places import temporary_state

from cdk_airflow_ecs.local.state import State


def test_another_command_finds_and_stops_the_recorded_processes():
    """Another `airflow-ecs local` command finds the processes of a state directory with their names, and stops them."""
    with temporary_state() as state:
        process = state.processes.start("sleeper", ["sleep", "600"])
        later = State.open(state.directory)
        assert [(p.name, p.pid) for p in later.processes.running()] == [("sleeper", process.pid)]
        assert later.processes.stop_all() == ["sleeper"]
        assert process.wait(60) != 0
        assert later.processes.running() == []


def test_a_process_with_a_reused_pid_is_ignored():
    """If a process's start time differs from the recorded one, its pid was reused, and it is ignored."""
    with temporary_state() as state, subprocess.Popen(["sleep", "600"]) as other:
        time.sleep(0.1)  # the kernel counts start times in hundredths of a second
        state.processes.start("sleeper", ["sleep", "600"])
        (file,) = (state.directory / "processes").glob("*.json")
        text = file.read_text().replace(f'"pid": {file.stem}', f'"pid": {other.pid}')
        file.rename(file.with_name("1.json")).write_text(text)
        assert state.processes.running() == []
        state.processes.stop_all()
        assert other.poll() is None
        other.kill()


def test_stopping_a_process_ends_its_grandchildren_too():
    """Descendants that ignore SIGTERM are killed with the session; those in other sessions are found by mark."""
    script = "trap '' TERM; sleep 601 & setsid sleep 602 & wait"
    with temporary_state() as state:
        process = state.processes.start("shell", ["sh", "-c", script])
        wait_for(lambda: sorted(Counter(map(session, marked(state))).values()) == [1, 2])
        state.processes.stop(process, seconds=0.2)
        # Wait, because killed processes are visible for a moment. The process with its own session remains.
        wait_for(lambda: [session(each) == each for each in marked(state)] == [True])
        state.processes.stop_all()
        wait_for(lambda: not marked(state))


def test_a_started_process_has_only_the_passed_input_and_environment(tmp_path: Path):
    """A process has only the passed input and environment, and only the owner can read its output."""
    log = tmp_path / "log"
    code = "import os,sys;print(sys.stdin.read(), os.environ['A'], 'HOME' in os.environ)"
    with temporary_state() as state:
        process = state.processes.start("p", [sys.executable, "-c", code], environment={"A": "b"}, log=log, text="told")
        assert process.wait(120) == 0
    assert log.read_text() == "told b False\n"
    assert log.stat().st_mode & 0o777 == 0o600


def session(process: int) -> int:
    """Return a process's session; 0 if it has ended."""
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return 0


def marked(state: State) -> list[int]:
    """Return the pids whose environment has this state directory's mark."""
    (value,) = state.processes.mark.values()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"={value}".encode() in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for(condition, seconds: float = 60) -> None:
    """Wait until the function returns a true value."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
