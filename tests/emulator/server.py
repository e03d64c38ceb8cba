"""Starts, controls and stops the emulator."""

import json
import os
import subprocess
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import boto3

from signed import post_json
from synthesis import cdk_program, run_app

REPOSITORY = Path(__file__).resolve().parents[2]
INTERPRETER = REPOSITORY / ".venvs" / "local" / "bin" / "python"
ACCOUNT = "123456789012"
REGION = "us-east-1"


class Emulator(AbstractContextManager):
    """A running emulator; AWS clients with the environment variables `env` use it."""

    def __init__(self, log: Path):
        self.log = log.open("w")
        self.clients: dict[str, Any] = {}
        self.process = subprocess.Popen(
            [INTERPRETER, "-m", "emulator.app"],
            cwd=Path(__file__).parents[1],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"The emulator did not start: {log.read_text()[-2000:]}")
        self.url, *self.key = json.loads(line)
        self.env = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key[0],
            "AWS_SECRET_ACCESS_KEY": self.key[1],
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.process.stdout.close()
        self.log.close()

    def client(self, service: str) -> Any:
        """Return a boto3 client of the emulator, cached because creating one is slow."""
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=self.key[0],
                aws_secret_access_key=self.key[1],
            )
        return self.clients[service]

    def _hook(self, path: str, value: Any = None) -> Any:
        return post_json(f"{self.url}/_emulator/{path}", self.key, value)

    def plan(self, *plans: dict) -> None:
        """Set the result of tasks (see `rehearsal.Agent`); without arguments, all tasks succeed."""
        self._hook("plans", plans)

    def hurry(self, seconds: float | None) -> None:
        """Set the timeout of all Lambda functions, in seconds."""
        self._hook("clock", seconds)

    def zone(self, zone_id: str, name: str) -> None:
        """Create a hosted zone with this id, for stacks that refer to it."""
        self._hook("zone", [zone_id, name])

    @property
    def ran(self) -> list[dict]:
        """Return the tasks that `RunTask` started, in the order of their start."""
        return self._hook("ran")["ran"]

    def deploy(self, app: Path, succeeds: bool = True, **env: str) -> str:
        """Deploy *app*, synthesized in this process with environment variables *env*; return the output of `cdk`."""
        return self.stack("deploy", app, "--require-approval", "never", succeeds=succeeds, **env)

    def stack(self, command: str, app: Path, *arguments: str, succeeds: bool | None = True, **env: str) -> str:
        """Run a command of `cdk` on *app*'s cloud assembly; *succeeds* is the expected result, None for either."""
        with tempfile.TemporaryDirectory() as folder:
            with mock.patch.dict(os.environ, env):
                assembly = run_app(app, outdir=f"{folder}/out").folder
            done = self.cdk(command, "--app", str(assembly), *arguments, cwd=Path(folder), **env)
        assert succeeds is None or (done.returncode == 0) == succeeds, done.stdout + done.stderr
        return done.stdout + done.stderr

    def cdk(self, *arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the CDK's command line against the emulator."""
        tools = REPOSITORY / ".venv" / "bin"
        return subprocess.run(
            [cdk_program(), *arguments, "--no-notices"],
            cwd=cwd,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
                **self.env,
                "PATH": f"{tools}:{os.environ['PATH']}",
                "CDK_DISABLE_CLI_TELEMETRY": "true",
                "CDK_VALIDATION": "false",
                "CDK_DEFAULT_ACCOUNT": ACCOUNT,
                "CDK_DEFAULT_REGION": REGION,
                "CI": "true",
                "npm_config_prefer_offline": "true",
                "NODE_OPTIONS": f"--require={Path(__file__).with_name('impatient.cjs')}",
                **env,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
