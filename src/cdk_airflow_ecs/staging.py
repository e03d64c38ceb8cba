"""Folders for CDK assets, identical on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import walk
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from aws_cdk import Stage
from constructs import Construct

_NO_STAGING = "aws:cdk:disable-asset-staging"


@contextmanager
def folder_of(scope: Construct, files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write *files* (contents by path) to a folder for an asset.

    All files are readable and scripts executable with any umask, because AWS Lambda and builders run as another user.
    The folder is removed afterwards. With ``cdk synth --no-staging`` it stays in the app's output.
    """
    if scope.node.try_get_context(_NO_STAGING):
        stage = cast("Stage", Stage.of(scope))  # every stack has a stage: CDK creates an App if needed
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
        folder = Path(stage.outdir, f"files.{digest}").resolve()
        _write(folder, files)
        yield folder
        return
    with TemporaryDirectory() as name:
        folder = Path(name, "files").resolve()
        _write(folder, files)
        yield folder


def make_readable(scope: Construct, asset_hash: str) -> None:
    """Make CDK's copy of an asset folder readable by every user, with modes that do not depend on the umask.

    Executable files stay executable, as in Git. With ``cdk synth --no-staging`` there is no copy, and nothing changes.
    """
    if scope.node.try_get_context(_NO_STAGING):
        return
    folder = Path(cast("Stage", Stage.of(scope)).asset_outdir, f"asset.{asset_hash}")
    for place, _, names in walk(folder):
        for path in (Path(place), *(Path(place, name) for name in names)):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if path.endswith(".sh") else 0o644)
