"""A container lives as ECS would have it: its command, its health, its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from places import temporary_state

from cdk_airflow_ecs.local.agent.container import Container, command, refuse_unknown, script
from cdk_airflow_ecs.local.refusal import Refusal

PYTHON = str(Path(sys.executable).parent)
INIT = ["/usr/bin/dumb-init", "--", "/entrypoint"]
# Tells by its exit code whether SIGTERM came to its child too.
FAMILY = """
import signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
def end(*_):
    try:
        child.wait(3)
    except subprocess.TimeoutExpired:
        sys.exit(10)
    sys.exit(20)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(600)
"""


def container(state, code: str = "", home: Path | None = None, environment: dict | None = None, **spec) -> Container:
    """A container that runs a piece of Python."""
    folder = home or state.folder("home")
    return Container(
        spec={"name": "it", "entryPoint": ["python"], "command": ["-c", code], **spec},
        environment={"PATH": f"{PYTHON}:/usr/bin:/bin", **(environment or {})},
        home=folder,
        prefix=(),
        log=folder / "log",
        processes=state.processes,
        label="it",
    )


def poll(one: Container, until: Callable[[], bool], seconds: float = 120) -> None:
    """Look at it until something is true."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        one.poll()
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("entrypoint", "words", "executed"),
    [
        (INIT, ["airflow", "scheduler"], ["airflow", "scheduler"]),
        (INIT, ["celery", "worker"], ["airflow", "celery", "worker"]),
        (INIT, ["python", "-c", "1"], ["python", "-c", "1"]),
        (INIT, ["bash", "-c", "true"], ["bash", "-c", "true"]),
        ([*INIT, "python", "-c", "sync"], ["airflow", "x"], ["python", "-c", "sync", "airflow", "x"]),
        (["/usr/bin/dumb-init", "--"], ["airflow", "x"], ["airflow", "x"]),
        (["/usr/bin/dumb-init", "--", "/entrypoint.sh"], ["airflow"], ["/entrypoint.sh", "airflow"]),
        (["tini", "-g"], ["run"], ["tini", "-g", "run"]),
    ],
)
def test_the_executed_command(entrypoint, words, executed):
    """dumb-init and the official script go; whatever else starts a container stays."""
    assert command({"entryPoint": entrypoint, "command": words}) == executed


def test_without_an_entry_point_the_image_says():
    """A definition without one has that of its image, and an image that says nothing has the official one."""
    assert command({"command": ["version"]}) == ["airflow", "version"]
    assert command({"command": ["postgres"]}, ["docker-entrypoint.sh"]) == ["docker-entrypoint.sh", "postgres"]


def test_the_home_of_the_image_is_a_folder():
    """/opt/airflow in a command is the container's home, in which it also starts."""
    with temporary_state() as state:
        one = container(state, "import os; print('/opt/airflow' == os.getcwd())")
        one.start()
        poll(one, lambda: one.exit_code is not None)
        assert one.last_lines() == ["True"]


@pytest.mark.parametrize(
    ("code", "told"), [("import sys; sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_exit_codes_are_those_of_docker(code, told):
    """A code is told as it is, a signal as 128 and its number."""
    with temporary_state() as state:
        one = container(state, code)
        one.start()
        poll(one, lambda: one.exit_code is not None)
        assert one.exit_code == told


def test_a_program_that_does_not_exist():
    """It ends at once and says why, as ECS does."""
    with temporary_state() as state:
        one = container(state, entryPoint=["nothing-of-this-name"])
        one.start()
        assert one.exit_code == 127
        assert (
            one.reason == 'CannotStartContainerError: exec: "nothing-of-this-name": executable file not found in $PATH'
        )


@pytest.mark.parametrize(
    ("init", "setsid", "code"), [(False, "1", 10), (True, "1", 20), (True, "0", 10)], ids=["no init", "all", "first"]
)
def test_who_gets_the_signal(init, setsid, code):
    """dumb-init hands SIGTERM to the whole group unless DUMB_INIT_SETSID=0; without it the first process alone."""
    with temporary_state() as state:
        entry = ["/usr/bin/dumb-init", "--", "python"] if init else ["python"]
        one = container(state, FAMILY, environment={"DUMB_INIT_SETSID": setsid}, entryPoint=entry)
        one.start()
        poll(one, lambda: one.last_lines() == ["up"])
        one.stop()
        poll(one, lambda: one.exit_code is not None)
        assert one.exit_code == code


def test_who_does_not_stop_is_killed():
    """After its stop timeout a container is killed, and no earlier."""
    stubborn = "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    with temporary_state() as state:
        one = container(state, stubborn, stopTimeout=1)
        one.start()
        poll(one, lambda: one.last_lines() == ["up"])
        began = time.monotonic()
        one.stop()
        poll(one, lambda: one.exit_code is not None)
        assert one.exit_code == 137
        assert time.monotonic() - began >= 1


def test_health():
    """UNKNOWN at first, HEALTHY at the first success, UNHEALTHY after as many failures in a row as are allowed."""
    check = {"command": ["CMD-SHELL", "test -e healthy"], "interval": 1, "retries": 2, "timeout": 5, "startPeriod": 300}
    with temporary_state() as state:
        one = container(state, "import time; time.sleep(600)", healthCheck=check)
        one.start()
        time.sleep(1.5)
        one.poll()
        assert one.health == "UNKNOWN"
        (one.home / "healthy").touch()
        poll(one, lambda: one.health == "HEALTHY")
        (one.home / "healthy").unlink()
        began = time.monotonic()
        poll(one, lambda: one.health == "UNHEALTHY")
        assert time.monotonic() - began > 1, "one failure was enough"


def test_a_check_that_hangs_fails():
    """A check that is not done within its timeout counts as failed."""
    check = {"command": ["CMD", "sleep", "600"], "interval": 1, "retries": 1, "timeout": 1}
    with temporary_state() as state:
        one = container(state, "import time; time.sleep(600)", healthCheck=check)
        one.start()
        poll(one, lambda: one.health == "UNHEALTHY")


def test_what_nothing_here_does_is_refused():
    """A property without a counterpart is named, with its container; an empty one says nothing."""
    refuse_unknown({"name": "it", "command": ["x"], "mountPoints": [{}], "firelensConfiguration": None})
    with pytest.raises(Refusal, match="container it: credentialSpecs, resourceRequirements"):
        refuse_unknown({"name": "it", "resourceRequirements": [{"a": 1}], "credentialSpecs": ["x"]})
    # An image that the user gives with --image needs no login.
    refuse_unknown({"name": "it", "repositoryCredentials": {"credentialsParameter": "arn"}})


def test_an_images_own_script_calls_the_official_one(tmp_path):
    """It is copied, and what it calls in its image exists here."""
    given = tmp_path / "entrypoint.sh"
    given.write_text('#!/bin/sh\necho "$1" in /opt/airflow\nexec /usr/bin/dumb-init -- /entrypoint "$@"\n')
    with temporary_state() as state:
        home = state.folder("home")
        script(given, home)
        one = container(
            state, "print('ran')", home, entryPoint=["/usr/bin/dumb-init", "--", "/entrypoint.sh", "python"]
        )
        one.start()
        poll(one, lambda: one.exit_code is not None)
        assert one.last_lines() == [f"python in {home}", "ran"]
