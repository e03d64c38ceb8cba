"""Keep a folder equal to a bucket, then become Airflow: ``SOURCE TARGET INTERVAL_SECONDS COMMAND...``.

For an Airflow that cannot read a bucket itself: a component starts as ``python -c <this text>
s3://bucket/prefix /opt/airflow/dags-live 30 airflow scheduler``. TARGET is a symbolic link to one complete
revision and is replaced as a whole, so nobody sees half of a change.
Python 3.8 is enough: images of Airflow 2.8 have no newer one.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from typing import Any

import boto3

KEEP = 600  # seconds for which a replaced revision stays, for tasks that are just importing from it
FIRST_DELAYS = (1, 2, 4, 8, 16, 30, 30, 30)  # seconds between the tries of the first sync


def say(message: str) -> None:
    """Print one line at once."""
    print(f"dags: {message}", flush=True)


class Mirror:
    """A local folder that follows a bucket."""

    def __init__(self, source: str, target: str) -> None:
        self.bucket, _, prefix = source[len("s3://") :].partition("/")
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self.target = target
        self.s3: Any = boto3.client("s3")
        self.listing: dict[str, tuple[str, int, str]] | None = None
        self.current = ""
        self.replaced: list[tuple[float, str]] = []

    def read(self) -> dict[str, tuple[str, int, str]]:
        """Return key, size and ETag by path, without folder markers and keys that are no proper path."""
        found = {}
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix):
            for item in page.get("Contents", ()):
                path = item["Key"][len(self.prefix) :]
                if not {"", ".", ".."} & set(path.split("/")):
                    found[path] = (item["Key"], item["Size"], item["ETag"])
        return found

    def sync(self) -> None:
        """Publish the bucket's state as a new revision, unless it is published already."""
        self._forget(time.monotonic() - KEEP)
        listing = self.read()
        if listing == self.listing:
            return
        revision = f"{self.target}.revisions/{time.time_ns()}"
        try:
            os.makedirs(revision)
            for path, entry in listing.items():
                self._place(path, entry, revision)
            os.symlink(revision, revision + ".link")
            os.replace(revision + ".link", self.target)
        except BaseException:
            shutil.rmtree(revision, ignore_errors=True)
            raise
        if self.current:
            self.replaced.append((time.monotonic(), self.current))
        self.current, self.listing = revision, listing
        say(f"{len(listing)} files from s3://{self.bucket}/{self.prefix}")

    def _place(self, path: str, entry: tuple[str, int, str], revision: str) -> None:
        file = os.path.join(revision, path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        if self.listing and self.listing.get(path) == entry:
            os.link(os.path.join(self.current, path), file)
            return
        key, _, etag = entry
        # A file that changed since it was listed is an error, and the next round's business.
        body = self.s3.get_object(Bucket=self.bucket, Key=key, IfMatch=etag)["Body"]
        with open(file, "wb") as output:
            shutil.copyfileobj(body, output)

    def _forget(self, before: float) -> None:
        while self.replaced and self.replaced[0][0] < before:
            shutil.rmtree(self.replaced.pop(0)[1], ignore_errors=True)


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


def follow(mirror: Mirror, interval: float, parent: int) -> None:
    """Sync again and again until the other end of the pipe *parent* is closed: until Airflow is gone."""
    while not select.select([parent], [], [], interval)[0]:
        try:
            mirror.sync()
        except Exception as error:
            say(f"keeping the last revision: {type(error).__name__}: {error}")


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
