"""Containers behave as on ECS: command, health check and end."""

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
# A program with a child process; its exit code shows whether the child received SIGTERM too.
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
def test_only_dumb_init_and_the_official_script_are_removed_from_a_command(entrypoint, words, executed):
    """The local command is the container's, without dumb-init and the official entry point script."""
    assert command({"entryPoint": entrypoint, "command": words}) == executed


def test_the_default_entry_point_is_that_of_the_image():
    """A container definition without entry point uses the image's; by default that is the official one."""
    assert command({"command": ["version"]}) == ["airflow", "version"]
    assert command({"command": ["postgres"]}, ["docker-entrypoint.sh"]) == ["docker-entrypoint.sh", "postgres"]


def test_opt_airflow_becomes_the_local_home_and_working_directory():
    """/opt/airflow in a command is the container's home and working directory."""
    with temporary_state() as state:
        one = container(state, "import os; print('/opt/airflow' == os.getcwd())")
        one.start()
        poll(one, lambda: one.exit_code is not None)
        assert one.last_lines() == ["True"]


@pytest.mark.parametrize(
    ("code", "exit_code"), [("import sys; sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_container_exit_codes_are_those_of_docker(code, exit_code):
    """A container's exit code is that of its process, or 128 plus the number of the signal that killed it."""
    with temporary_state() as state:
        one = container(state, code)
        one.start()
        poll(one, lambda: one.exit_code is not None)
        assert one.exit_code == exit_code


def test_a_container_with_a_missing_program_fails_at_once():
    """A container whose program is missing fails at once with the same reason as on ECS."""
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
def test_sigterm_reaches_all_processes_only_with_dumb_init(init, setsid, code):
    """With dumb-init and without DUMB_INIT_SETSID=0, SIGTERM reaches all processes, otherwise only the first."""
    with temporary_state() as state:
        entry = ["/usr/bin/dumb-init", "--", "python"] if init else ["python"]
        one = container(state, FAMILY, environment={"DUMB_INIT_SETSID": setsid}, entryPoint=entry)
        one.start()
        poll(one, lambda: one.last_lines() == ["up"])
        one.stop()
        poll(one, lambda: one.exit_code is not None)
        assert one.exit_code == code


def test_a_container_is_killed_after_its_stop_timeout():
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


def test_the_health_status_follows_the_health_checks():
    """Health is UNKNOWN first, HEALTHY after a success, and UNHEALTHY after the defined number of failures."""
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


def test_a_health_check_that_hangs_fails():
    """A health check fails when the timeout of the check is over."""
    check = {"command": ["CMD", "sleep", "600"], "interval": 1, "retries": 1, "timeout": 1}
    with temporary_state() as state:
        one = container(state, "import time; time.sleep(600)", healthCheck=check)
        one.start()
        poll(one, lambda: one.health == "UNHEALTHY")


def test_unsupported_container_properties_are_refused():
    """Unsupported properties of a container definition are refused with the container's name, unless they are empty."""
    refuse_unknown({"name": "it", "command": ["x"], "mountPoints": [{}], "firelensConfiguration": None})
    with pytest.raises(Refusal, match="container it: credentialSpecs, resourceRequirements"):
        refuse_unknown({"name": "it", "resourceRequirements": [{"a": 1}], "credentialSpecs": ["x"]})
    # Registry credentials are ignored, because the runner does not pull images.
    refuse_unknown({"name": "it", "repositoryCredentials": {"credentialsParameter": "arn"}})


def test_an_entry_point_script_of_an_image_can_call_the_official_script(tmp_path):
    """The entry point script that a Dockerfile copies can call the official script, which exists at its path."""
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
