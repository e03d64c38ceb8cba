"""Synchronize a folder with a bucket, and execute Airflow: ``SOURCE TARGET INTERVAL_SECONDS COMMAND...``.

Components of Airflow 2 start as ``python -c <this text> s3://bucket/prefix /opt/airflow/dags-live 30 airflow
scheduler``. TARGET is a link to a complete revision, replaced atomically. On Airflow 3, dag_bundle.py uses this module.
It supports Python 3.8, the version in images of Airflow 2.8.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import shutil
import sys
import time
from typing import Any

import boto3

KEEP = 600  # seconds for which replaced revisions are kept, for tasks that are importing from them
QUIET = 3  # seconds without a write after which an upload of several files is considered complete
LOOKS = 3  # maximum number of listings, if uploads to the bucket continue; the last one is used
LONGEST = 255  # maximum length of a file name on Linux in bytes
NAME_ERRORS = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ)
FIRST_DELAYS = (1, 2, 4, 8, 16, 30, 30, 30)  # seconds between attempts of the first sync


def say(message: str) -> None:
    """Print a line without buffering."""
    print(f"dags: {message}", flush=True)


class Mirror:
    """A local copy of a bucket. Its state is on disk, so that several processes can use it in turn."""

    def __init__(self, source: str, target: str) -> None:
        self.bucket, _, prefix = source[len("s3://") :].partition("/")
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self.target = target
        self.revisions = f"{target}.revisions"
        self.s3: Any = boto3.client("s3")

    @property
    def current(self) -> str:
        """The folder to which the target links; empty before the first sync."""
        return os.path.realpath(self.target) if os.path.islink(self.target) else ""

    def sync(self) -> None:
        """Publish the bucket's state as a new revision if it has changed."""
        current, known = self.current, self._known()
        self._forget(current)
        listing = self._settled(known)
        if listing == known:
            return
        files, skipped = placeable(listing)
        revision = f"{self.revisions}/{time.time_ns()}"
        folder = f"{revision}/dags"
        try:
            os.makedirs(folder)
            for path, entry in files.items():
                is_same = known is not None and known.get(path) == entry
                same = os.path.join(current, path) if is_same else ""
                why = self._place(entry, os.path.join(folder, path), same if os.path.isfile(same) else "")
                if why:
                    skipped[path] = why
            with open(f"{revision}/listing.json", "w") as file:
                json.dump(listing, file)
            os.symlink(folder, f"{revision}/link")
            os.replace(f"{revision}/link", self.target)
        except BaseException:
            shutil.rmtree(revision, ignore_errors=True)
            raise
        for path, why in sorted(skipped.items()):
            say(f"skipped {listing[path][0]!r}: {why}")
        left_out = f", {len(skipped)} skipped" if skipped else ""
        say(f"{len(listing) - len(skipped)} files from s3://{self.bucket}/{self.prefix}{left_out}")

    def _known(self) -> dict[str, list[Any]] | None:
        if not self.current:
            return None
        with open(f"{os.path.dirname(self.current)}/listing.json") as file:
            known: dict[str, list[Any]] = json.load(file)
        return known

    def _settled(self, known: dict[str, list[Any]] | None) -> dict[str, list[Any]]:
        """Return a listing. After recent writes, wait a little and list again, because an upload may be incomplete."""
        for _ in range(LOOKS - 1):
            listing, written = self._listing()
            left = written + QUIET - time.time()
            if listing == known or left <= 0:
                return listing
            time.sleep(min(left, QUIET))
        return self._listing()[0]

    def _listing(self) -> tuple[dict[str, list[Any]], float]:
        """Return key, size and ETag by path, without folder markers such as "team/", and the time of the last write."""
        found, written = {}, 0.0
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix):
            for item in page.get("Contents", ()):
                path = item["Key"][len(self.prefix) :]
                if path and not path.endswith("/"):
                    found[path] = [item["Key"], item["Size"], item["ETag"]]
                    written = max(written, item["LastModified"].timestamp())
        return found, written

    def _place(self, entry: list[Any], file: str, same: str) -> str:
        """Create *file* as a link to *same*, or download it. Return why the file system rejects its name, or ""."""
        key, _, etag = entry
        try:
            os.makedirs(os.path.dirname(file), exist_ok=True)
            if same:
                os.link(same, file)
                return ""
            output = open(file, "wb")  # noqa: SIM115 (download errors below must not be caught here)
        except OSError as error:
            if error.errno not in NAME_ERRORS:
                raise
            return str(error.strerror)
        with output:
            # The download fails if the object has changed since the listing. The next sync repeats it.
            shutil.copyfileobj(self.s3.get_object(Bucket=self.bucket, Key=key, IfMatch=etag)["Body"], output)
        return ""

    def _forget(self, current: str) -> None:
        """Remove revisions that were replaced at least KEEP seconds ago and that no process has locked."""
        names = sorted(os.listdir(self.revisions)) if current else []
        for at, successor in enumerate(names[1:]):
            folder = f"{self.revisions}/{names[at]}/dags"
            if int(successor) < (time.time() - KEEP) * 1e9 and folder != current and is_free(folder):
                shutil.rmtree(os.path.dirname(folder), ignore_errors=True)


def placeable(listing: dict[str, list[Any]]) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Split a listing into files that one folder can contain, and the reasons for skipping the others."""
    skipped = {path: why for path in listing for why in [misfit(path)] if why}
    folders: set[str] = set()
    for path in listing.keys() - skipped.keys():
        parts = path.split("/")
        folders.update("/".join(parts[:end]) for end in range(1, len(parts)))
    for path in folders & listing.keys() - skipped.keys():
        skipped[path] = "it is a folder too"
    return {path: entry for path, entry in listing.items() if path not in skipped}, skipped


def misfit(path: str) -> str:
    """Return why an object's key cannot be a relative file path on Linux, or "" if it can."""
    parts = path.split("/")
    if {"", ".", ".."} & set(parts):
        return "a part of its name is empty, '.' or '..'"
    if "\0" in path or any(len(part.encode("utf-8", "surrogatepass")) > LONGEST for part in parts):
        return f"a part of its name has a NUL, or more than {LONGEST} bytes"
    return ""


def hold(folder: str) -> int:
    """Lock a folder of DAG files until the returned descriptor is closed in all processes."""
    descriptor = os.open(os.path.dirname(folder), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def is_free(folder: str) -> bool:
    """Return whether no process has locked the folder."""
    descriptor = os.open(os.path.dirname(folder), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def first_sync(mirror: Mirror) -> None:
    """Sync once, with retries, because Airflow needs DAG files to start."""
    for delay in (*FIRST_DELAYS, None):
        try:
            return mirror.sync()
        except Exception as error:
            if delay is None:
                raise
            say(f"cannot read s3://{mirror.bucket}/{mirror.prefix} yet: {error}")
            time.sleep(delay)


def next_sync(mirror: Mirror) -> None:
    """Sync again. If it fails, log the error and keep the last revision."""
    try:
        mirror.sync()
    except Exception as error:
        say(f"keeping the last revision: {type(error).__name__}: {error}")


def follow(mirror: Mirror, interval: float, parent: int) -> None:
    """Sync at intervals until the pipe *parent* is closed, which means that Airflow has ended."""
    while not select.select([parent], [], [], interval)[0]:
        next_sync(mirror)


def main(source: str, target: str, interval: str, *command: str) -> None:
    """Sync once, start a background process for further syncs, and execute *command*."""
    mirror = Mirror(source, target)
    first_sync(mirror)
    # The kernel closes the pipe when Airflow's last process ends. After two forks and setsid, the background process is
    # not a child of Airflow and does not receive its signals.
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    if middle := os.fork():
        os.close(reading)
        os.waitpid(middle, 0)
        os.execvp(command[0], command)  # noqa: S606 (exec, so that Airflow receives signals)
    os.close(writing)
    os.setsid()
    if not os.fork():
        follow(mirror, float(interval), reading)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
