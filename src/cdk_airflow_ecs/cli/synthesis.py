"""The cloud assembly for a command: an existing one, or one that the command synthesizes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from cdk_airflow_ecs.local.refusal import Refusal


def assembly(path: Path, command: str | None) -> Path:
    """Return *path*, synthesized by *command*, or by the app of cdk.json if there is no command and no *path*.

    Raises:
        Refusal: if *path* does not exist and there is no command, or the command fails.
    """
    settings = json.loads(Path("cdk.json").read_text()) if Path("cdk.json").is_file() else {}
    if command is None and not path.exists():
        command = settings.get("app")
        if not command:
            raise Refusal(f'{path} does not exist. Run `cdk synth` first, or pass --app "python app.py"')
    if command is None:
        return path
    words = shlex.split(command)
    if not words or shutil.which(words[0]) is None:
        raise Refusal(f"--app {command!r}: the program {words[0] if words else ''!r} does not exist")
    path.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "CDK_OUTDIR": str(path.absolute())}
    if settings.get("context"):
        environment["CDK_CONTEXT_JSON"] = json.dumps(settings["context"])
    ended = subprocess.run(words, env=environment, check=False).returncode
    if ended:
        raise Refusal(f"{command} failed with exit code {ended}")
    return path
