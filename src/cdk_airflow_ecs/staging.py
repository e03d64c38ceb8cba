"""Folders of files that CDK takes as assets, alike on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from aws_cdk import Stage
from constructs import Construct

_NO_STAGING = "aws:cdk:disable-asset-staging"


@contextmanager
def folder_of(scope: Construct, files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write *files*, contents by path, to a folder from which an asset is made.

    CDK copies and zips a file with its mode, and AWS Lambda and builders run as another user: under a umask of 077 they
    could not read what was installed or checked out. Scripts may be executed, all files may be read.

    The folder is gone afterwards, since CDK has copied it. With ``cdk synth --no-staging`` it copies nothing; then the
    folder is in the output of the app, and stays.
    """
    if scope.node.try_get_context(_NO_STAGING):
        stage = cast("Stage", Stage.of(scope))  # Every stack is in one: CDK makes an App for a stack without.
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
        folder = Path(stage.outdir, f"files.{digest}").resolve()
        _write(folder, files)
        yield folder
        return
    with TemporaryDirectory() as name:
        folder = Path(name, "files").resolve()
        _write(folder, files)
        yield folder


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if path.endswith(".sh") else 0o644)
