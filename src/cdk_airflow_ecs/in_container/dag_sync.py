"""Keep a folder equal to a bucket, then become Airflow: ``SOURCE TARGET INTERVAL_SECONDS COMMAND...``.

For Airflow 2, which cannot read a bucket itself: a component starts as ``python -c <this text>
s3://bucket/prefix /opt/airflow/dags-live 30 airflow scheduler``. TARGET is a symbolic link to one complete
revision and is replaced as a whole, so no revision is half of a change. dag_bundle.py uses it on Airflow 3.
Python 3.8 is enough: images of Airflow 2.8 have no newer one.
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

KEEP = 600  # seconds for which a replaced revision stays, for tasks that are just importing from it
QUIET = 3  # seconds without a write after which an upload of several files counts as complete
LOOKS = 3  # looks at a bucket that is being written to; what the last one finds must do
LONGEST = 255  # bytes of a file's name on Linux
NAME_ERRORS = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ)
FIRST_DELAYS = (1, 2, 4, 8, 16, 30, 30, 30)  # seconds between the tries of the first sync


def say(message: str) -> None:
    """Print one line at once."""
    print(f"dags: {message}", flush=True)


class Mirror:
    """A local folder that follows a bucket. All it knows is on the disk, so that processes can take turns."""

    def __init__(self, source: str, target: str) -> None:
        self.bucket, _, prefix = source[len("s3://") :].partition("/")
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self.target = target
        self.revisions = f"{target}.revisions"
        self.s3: Any = boto3.client("s3")

    @property
    def current(self) -> str:
        """The folder that the target is a link to; nothing before the first sync."""
        return os.path.realpath(self.target) if os.path.islink(self.target) else ""

    def sync(self) -> None:
        """Publish the bucket's state as a new revision, unless it is published already."""
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
        """List the bucket while nobody writes to it, for half of an upload is no state to publish."""
        for _ in range(LOOKS - 1):
            listing, written = self._listing()
            left = written + QUIET - time.time()
            if listing == known or left <= 0:
                return listing
            time.sleep(min(left, QUIET))
        return self._listing()[0]

    def _listing(self) -> tuple[dict[str, list[Any]], float]:
        """Return key, size and ETag by path, and the time of the last write.

        Without folder markers, such as "team/".
        """
        found, written = {}, 0.0
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix):
            for item in page.get("Contents", ()):
                path = item["Key"][len(self.prefix) :]
                if path and not path.endswith("/"):
                    found[path] = [item["Key"], item["Size"], item["ETag"]]
                    written = max(written, item["LastModified"].timestamp())
        return found, written

    def _place(self, entry: list[Any], file: str, same: str) -> str:
        """Put one object at *file*, from *same* if that is it already; say why this file system cannot take it."""
        key, _, etag = entry
        try:
            os.makedirs(os.path.dirname(file), exist_ok=True)
            if same:
                os.link(same, file)
                return ""
            output = open(file, "wb")  # noqa: SIM115 (an error of the download below is not one of the name)
        except OSError as error:
            if error.errno not in NAME_ERRORS:
                raise
            return str(error.strerror)
        with output:
            # A file that changed since it was listed is an error, and the next round's business.
            shutil.copyfileobj(self.s3.get_object(Bucket=self.bucket, Key=key, IfMatch=etag)["Body"], output)
        return ""

    def _forget(self, current: str) -> None:
        """Remove revisions that were replaced long ago and that nobody holds."""
        names = sorted(os.listdir(self.revisions)) if current else []
        for at, successor in enumerate(names[1:]):
            folder = f"{self.revisions}/{names[at]}/dags"
            if int(successor) < (time.time() - KEEP) * 1e9 and folder != current and is_free(folder):
                shutil.rmtree(os.path.dirname(folder), ignore_errors=True)


def placeable(listing: dict[str, list[Any]]) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Part a listing into what can be files of one folder, and why the rest cannot.

    One key that has no place must not keep the others away.
    """
    skipped = {path: why for path in listing for why in [misfit(path)] if why}
    folders: set[str] = set()
    for path in listing.keys() - skipped.keys():
        parts = path.split("/")
        folders.update("/".join(parts[:end]) for end in range(1, len(parts)))
    for path in folders & listing.keys() - skipped.keys():
        skipped[path] = "it is a folder too"
    return {path: entry for path, entry in listing.items() if path not in skipped}, skipped


def misfit(path: str) -> str:
    """Say why a key is not the path of a file on Linux, below a folder."""
    parts = path.split("/")
    if {"", ".", ".."} & set(parts):
        return "a part of its name is empty, '.' or '..'"
    if "\0" in path or any(len(part.encode("utf-8", "surrogatepass")) > LONGEST for part in parts):
        return f"a part of its name has a NUL, or more than {LONGEST} bytes"
    return ""


def hold(folder: str) -> int:
    """Keep a folder of DAG files until the returned descriptor is closed, here and in every child."""
    descriptor = os.open(os.path.dirname(folder), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def is_free(folder: str) -> bool:
    """Say whether no process holds it."""
    descriptor = os.open(os.path.dirname(folder), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def first_sync(mirror: Mirror) -> None:
    """Sync once, patiently: without DAG files there is nothing to start."""
    for delay in (*FIRST_DELAYS, None):
        try:
            return mirror.sync()
        except Exception as error:
            if delay is None:
                raise
            say(f"cannot read s3://{mirror.bucket}/{mirror.prefix} yet: {error}")
            time.sleep(delay)


def next_sync(mirror: Mirror) -> None:
    """Sync again; what goes wrong costs a line, and the last revision stays."""
    try:
        mirror.sync()
    except Exception as error:
        say(f"keeping the last revision: {type(error).__name__}: {error}")


def follow(mirror: Mirror, interval: float, parent: int) -> None:
    """Sync again and again until the other end of the pipe *parent* is closed: until Airflow is gone."""
    while not select.select([parent], [], [], interval)[0]:
        next_sync(mirror)


def main(source: str, target: str, interval: str, *command: str) -> None:
    """Sync once, leave a process behind that goes on, and become *command*."""
    mirror = Mirror(source, target)
    first_sync(mirror)
    # The kernel closes the pipe when Airflow's last process dies, however it dies.
    # Forked twice, in a session of its own, the follower is no child for Airflow to wait for or signal.
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    if middle := os.fork():
        os.close(reading)
        os.waitpid(middle, 0)
        os.execvp(command[0], command)  # noqa: S606 (the point: signals reach Airflow)
    os.close(writing)
    os.setsid()
    if not os.fork():
        follow(mirror, float(interval), reading)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
