"""Airflow's official clients, each in its own cached environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from cluster import REPOSITORY, Cluster, eventually

# The newest client releases for Airflow 2 and 3; the last client for 2.x is 2.10.
PINNED = {
    3: ("apache-airflow-client==3.3.2", "apache-airflow-ctl==0.1.5"),
    2: ("apache-airflow-client==2.10.0",),
}
_SCRIPTS = Path(__file__).with_name("clients")


def environment(major: int) -> Path:
    """Return the bin folder of the clients of one major version; install them at the first use."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = "-".join(each.removeprefix("apache-airflow-").replace("==", "-") for each in PINNED[major])
    folder = base / "cdk-airflow-ecs" / "clients" / name
    if not (folder / ".ready").exists():
        uv, python = (REPOSITORY / ".venv/bin" / program for program in ("uv", "python"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", python, folder], check=True)
        command = [uv, "pip", "install", "--quiet", "--python", folder / "bin/python", *PINNED[major]]
        subprocess.run(command, check=True)
        (folder / ".ready").touch()
    return folder / "bin"


def rest(cluster: Cluster) -> dict[str, Any]:
    """Run the REST client; return its output: version, listed, waited, state, log."""
    program = [environment(cluster.major) / "python", _SCRIPTS / f"rest{cluster.major}.py", cluster.url]
    password = cluster.run("password").stdout
    return json.loads(_run(program, password).splitlines()[-1])


class Ctl:
    """``airflowctl``, signed in as the generated admin, with the password on standard input."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self._program = environment(cluster.major) / "airflowctl"
        self._env = {"AIRFLOW_HOME": str(home), "PATH": os.environ["PATH"], "HOME": str(home)}
        words = ("auth", "token", "--api-url", cluster.url, "--username", "admin")
        done = _run([self._program, *words], cluster.run("password").stdout, self._env)
        self._env["AIRFLOW_CLI_TOKEN"] = done.splitlines()[-1].strip()
        self.run("auth", "login", "--api-url", cluster.url, "--skip-keyring")

    def run(self, *words: str) -> str:
        """Run a command and return its output."""
        return _run([self._program, *words], "", self._env)

    def json(self, *words: str) -> Any:
        """Run a command and return the JSON after its log lines."""
        done = self.run(*words, "--output", "json")
        start = min(index for index in (done.find("\n["), done.find("\n{"), done.find("[{")) if index >= 0)
        return json.loads(done[start:])

    def finish(self, dag: str, run: str) -> str:
        """Wait for the end of a DAG run and return its state."""

        def state() -> str | None:
            (found,) = self.json("dagrun", "get", dag, run)
            return found["state"] if found["state"] in ("success", "failed") else None

        return eventually(state, 180)


def _run(words: list[Any], text: str, env: dict[str, str] | None = None) -> str:
    # A new session has no terminal, so the password is read from standard input.
    ran = subprocess.run(
        words, input=text, capture_output=True, text=True, check=False, timeout=240, env=env, start_new_session=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
