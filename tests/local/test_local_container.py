"""Containers as on ECS: command, health check and end."""

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
# The exit code shows whether its child received SIGTERM too.
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
    """Return a container that runs Python code."""
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
    """Poll a container until a condition is true."""
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
    """Only dumb-init and the official script are removed from the command."""
    assert command({"entryPoint": entrypoint, "command": words}) == executed


def test_the_default_entry_point_is_that_of_the_image():
    """Without an entry point in the definition, that of the image is used; the default is the official one."""
    assert command({"command": ["version"]}) == ["airflow", "version"]
    assert command({"command": ["postgres"]}, ["docker-entrypoint.sh"]) == ["docker-entrypoint.sh", "postgres"]


def test_the_home_of_the_image_is_the_working_directory():
    """/opt/airflow in a command is the container's home and working directory."""
    with temporary_state() as state:
        one = container(state, "import os; print('/opt/airflow' == os.getcwd())")
        one.start()
        poll(one, lambda: one.exit_code is not None)
        assert one.last_lines() == ["True"]


@pytest.mark.parametrize(
    ("code", "exit_code"), [("import sys; sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_exit_codes_are_those_of_docker(code, exit_code):
    """The exit code is the process's, or 128 plus the number of its signal."""
    with temporary_state() as state:
        one = container(state, code)
        one.start()
        poll(one, lambda: one.exit_code is not None)
        assert one.exit_code == exit_code


def test_a_program_that_does_not_exist():
    """A missing program fails at once with the reason of ECS."""
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
def test_processes_that_receive_the_signal(init, setsid, code):
    """SIGTERM goes to the whole group with dumb-init, unless DUMB_INIT_SETSID=0, else to the first process."""
    with temporary_state() as state:
        entry = ["/usr/bin/dumb-init", "--", "python"] if init else ["python"]
        one = container(state, FAMILY, environment={"DUMB_INIT_SETSID": setsid}, entryPoint=entry)
        one.start()
        poll(one, lambda: one.last_lines() == ["up"])
        one.stop()
        poll(one, lambda: one.exit_code is not None)
        assert one.exit_code == code


def test_a_container_that_does_not_stop_is_killed():
    """A container that does not stop is killed after its stop timeout."""
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
    """Health is UNKNOWN, then HEALTHY after a success, and UNHEALTHY after the allowed number of failures."""
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
    """A health check fails after its timeout."""
    check = {"command": ["CMD", "sleep", "600"], "interval": 1, "retries": 1, "timeout": 1}
    with temporary_state() as state:
        one = container(state, "import time; time.sleep(600)", healthCheck=check)
        one.start()
        poll(one, lambda: one.health == "UNHEALTHY")


def test_unsupported_properties_are_refused():
    """Properties that are not supported are refused with the container's name, unless they are empty."""
    refuse_unknown({"name": "it", "command": ["x"], "mountPoints": [{}], "firelensConfiguration": None})
    with pytest.raises(Refusal, match="container it: credentialSpecs, resourceRequirements"):
        refuse_unknown({"name": "it", "resourceRequirements": [{"a": 1}], "credentialSpecs": ["x"]})
    # An image passed by --image needs no login.
    refuse_unknown({"name": "it", "repositoryCredentials": {"credentialsParameter": "arn"}})


def test_a_script_of_the_image_calls_the_official_one(tmp_path):
    """An image's own entry point is copied, and the script that it calls exists."""
    custom_script = tmp_path / "entrypoint.sh"
    custom_script.write_text('#!/bin/sh\necho "$1" in /opt/airflow\nexec /usr/bin/dumb-init -- /entrypoint "$@"\n')
    with temporary_state() as state:
        home = state.folder("home")
        script(custom_script, home)
        one = container(
            state, "print('ran')", home, entryPoint=["/usr/bin/dumb-init", "--", "/entrypoint.sh", "python"]
        )
        one.start()
        poll(one, lambda: one.exit_code is not None)
        assert one.last_lines() == [f"python in {home}", "ran"]
