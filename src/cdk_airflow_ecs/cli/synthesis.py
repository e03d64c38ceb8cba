"""The assembly that a command works on: one that exists, or one that the app makes now."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from cdk_airflow_ecs.local.refusal import Refusal


def assembly(path: Path, command: str | None) -> Path:
    """Return *path*, synthesized by *command* first; without one, by the app of cdk.json if there is no *path* yet.

    Raises:
        Refusal: if there is nothing to run, or the app fails.
    """
    settings = json.loads(Path("cdk.json").read_text()) if Path("cdk.json").is_file() else {}
    if command is None and not path.exists():
        command = settings.get("app")
        if not command:
            raise Refusal(f'{path} does not exist. Run `cdk synth` first, or give --app "python app.py"')
    if command is None:
        return path
    words = shlex.split(command)
    if not words or shutil.which(words[0]) is None:
        raise Refusal(f"--app {command!r}: there is no program {words[0] if words else ''}")
    path.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "CDK_OUTDIR": str(path.absolute())}
    if settings.get("context"):
        environment["CDK_CONTEXT_JSON"] = json.dumps(settings["context"])
    ended = subprocess.run(words, env=environment, check=False).returncode
    if ended:
        raise Refusal(f"{command} ended with {ended}")
    return path
