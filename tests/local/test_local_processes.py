"""Processes are found and stopped, also those whose parents are gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from places import temporary_state

from cdk_airflow_ecs.local.state import State


def test_what_was_started_is_found_by_another_command():
    """A second look at the directory finds what runs, by name, and stops all of it."""
    with temporary_state() as state:
        process = state.processes.start("sleeper", ["sleep", "600"])
        later = State.open(state.directory)
        assert [(p.name, p.pid) for p in later.processes.running()] == [("sleeper", process.pid)]
        assert later.processes.stop_all() == ["sleeper"]
        assert process.wait(60) != 0
        assert later.processes.running() == []


def test_a_number_that_was_given_to_another_process_is_not_touched():
    """A record whose start time differs from the living process's is no process of ours."""
    with temporary_state() as state, subprocess.Popen(["sleep", "600"]) as stranger:
        time.sleep(0.1)  # the kernel tells start times in hundredths of a second
        state.processes.start("sleeper", ["sleep", "600"])
        (file,) = (state.directory / "processes").glob("*.json")
        text = file.read_text().replace(f'"pid": {file.stem}', f'"pid": {stranger.pid}')
        file.rename(file.with_name("1.json")).write_text(text)
        assert state.processes.running() == []
        state.processes.stop_all()
        assert stranger.poll() is None
        stranger.kill()


def test_grandchildren_end_too():
    """Children that ignore SIGTERM end with the session, and those that left it are found by their mark."""
    script = "trap '' TERM; sleep 601 & setsid sleep 602 & wait"
    with temporary_state() as state:
        process = state.processes.start("shell", ["sh", "-c", script])
        wait_for(lambda: sorted(Counter(map(session, marked(state))).values()) == [1, 2])
        state.processes.stop(process, seconds=0.2)
        # What was killed may be seen for a moment longer. The one that left has a session of its own.
        wait_for(lambda: [session(each) == each for each in marked(state)] == [True])
        state.processes.stop_all()
        wait_for(lambda: not marked(state))


def test_input_output_and_environment(tmp_path: Path):
    """The command sees its input and environment alone, and its output is private."""
    log = tmp_path / "log"
    code = "import os,sys;print(sys.stdin.read(), os.environ['A'], 'HOME' in os.environ)"
    with temporary_state() as state:
        process = state.processes.start("p", [sys.executable, "-c", code], environment={"A": "b"}, log=log, text="told")
        assert process.wait(120) == 0
    assert log.read_text() == "told b False\n"
    assert log.stat().st_mode & 0o777 == 0o600


def session(process: int) -> int:
    """The session of a process; 0 if it has just ended."""
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return 0


def marked(state: State) -> list[int]:
    """Processes that carry the mark of this state."""
    (value,) = state.processes.mark.values()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"={value}".encode() in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for(question, seconds: float = 60) -> None:
    """Ask until the answer is true."""
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end
        time.sleep(0.05)
