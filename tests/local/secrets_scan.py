"""Scans command lines, readable files and logs for the secrets of a running local cluster."""

from __future__ import annotations

import json
import re
import stat
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cdk_airflow_ecs.local.stores.postgres_programs import ROOT_DATA

_LONGEST = 1 << 24  # maximum number of bytes read from one file
# A signed token (JWT) with which Airflow authorizes a task or a user.
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{20,}")


def secrets_of(state: Path) -> dict[str, str]:
    """Return the secrets in a state directory by name: those of the template and of the local runner."""
    found = {}
    saved = json.loads((state / "secrets.json").read_text()) if (state / "secrets.json").exists() else {}
    for name, text in saved.items():
        for part, value in _parts(text):
            if len(value) >= 8:  # shorter values are user names and ports
                found[f"{name}{part}"] = value
    return found


def _parts(text: str) -> Iterator[tuple[str, str]]:
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if isinstance(fields, dict):
        yield from ((f".{name}", str(value)) for name, value in fields.items() if "password" in name)
    else:
        yield "", text


def forms(value: str) -> set[str]:
    """Return the spellings of a secret: plain, URL-quoted, JSON-quoted."""
    return {value, quote(value, safe=""), json.dumps(value)[1:-1]}


def open_to_others(path: Path) -> bool:
    """Return whether any user can read a file; false if a folder above it is private."""
    try:
        if not path.stat().st_mode & stat.S_IROTH:
            return False
        return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
    except OSError:
        return False


@dataclass
class Scan(AbstractContextManager):
    """A scan that runs during a `with` block.

    Args:
        state: the state directory of the cluster; it may be created later.
        places: returns the places to scan for readable files; the default is everything that a run writes.
    """

    state: Path
    places: Callable[[Path], Iterable[Path]] = field(default_factory=lambda: places_of)
    looked_at: Counter[str] = field(default_factory=Counter)
    _lines: set[str] = field(default_factory=set)
    _files: dict[Path, tuple[float, int]] = field(default_factory=dict)
    _stood: set[Path] = field(default_factory=set)
    _texts: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Scan:
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()

    def add(self, kind: str, name: str, text: str) -> None:
        """Add a text, such as a log, to the scan."""
        self._texts[kind][name] = text

    def findings(self) -> list[str]:
        """Return each secret or token that was found, as kind of place, place and name, without the value."""
        self._look_at_processes()
        self._look_at_files()
        secrets = {form: name for name, value in secrets_of(self.state).items() for form in forms(value)}
        self.looked_at |= {"secrets": len(set(secrets.values())), "file": len(self._stood)}
        texts = {"command line": {_hidden(line, secrets): line for line in list(self._lines)}, **self._texts}
        found = set()
        for kind, named in texts.items():
            self.looked_at[kind] = len(named)
            for place, text in list(named.items()):  # a copy, because the scan still adds texts
                found |= {f"{kind}: {place}: {name}" for form, name in secrets.items() if form in text}
                found |= {f"{kind}: {place}: a token"} if _TOKEN.search(text) else set()
        return sorted(found)

    def _follow(self) -> None:
        rounds = 0
        while not self._over.wait(0.25):
            self._look_at_processes()
            if rounds % 12 == 0:
                self._look_at_files()
            rounds += 1

    def _look_at_processes(self) -> None:
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                self._lines.add((folder / "cmdline").read_text(errors="replace").replace("\0", " "))

    def _look_at_files(self) -> None:
        for place in self.places(self.state):
            for path in _files(place):
                self._stood.add(path)
                with suppress(OSError):
                    known = path.stat()
                    if self._files.get(path) != (known.st_mtime, known.st_size) and open_to_others(path):
                        self._files[path] = known.st_mtime, known.st_size
                        with path.open("rb") as file:
                            text = file.read(_LONGEST).decode(errors="replace")
                        self._texts["file that others can read"][str(path)] = text


def places_of(state: Path) -> list[Path]:
    """Return the folders and files to which a local cluster with this state directory writes."""
    with suppress(OSError, ValueError, KeyError):
        identity = json.loads((state / "owner.json").read_text())["id"]
        loose = [path for folder in ("/tmp", "/var/tmp") for path in Path(folder).iterdir() if path.is_file()]
        temporary = [*Path("/tmp").glob("airflow-ecs-*"), *Path("/etc/netns").glob("airflow-ecs-*")]
        return [state.parent, ROOT_DATA / identity, Path("/run/airflow-ecs"), Path("/dev/shm"), *temporary, *loose]
    return []


def logs_of(state: Path) -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and text of every log on disk."""
    for file in [*(state / "logs").glob("*"), *state.glob("*.log")]:
        yield "log of a container or store", file.name, file.read_text(errors="replace")
    for file in (state / "homes").rglob("logs/**/*"):
        if file.is_file():
            yield "log in a container's home", str(file.relative_to(state)), file.read_text(errors="replace")


def logs_in(client: Callable[[str], Any]) -> Iterator[tuple[str, str, str]]:
    """Yield kind, name and text of all log streams and bucket objects in the AWS API."""
    logs, s3 = client("logs"), client("s3")
    for group in (each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]):
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            for number, event in enumerate(page["events"]):
                yield "event in CloudWatch", f"{group} {event['logStreamName']} {number}", event["message"]
    for bucket in (each["Name"] for each in s3.list_buckets()["Buckets"]):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", ()):
                text = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode(errors="replace")
                yield "object in S3", f"{bucket} {item['Key']}", text


def _files(place: Path) -> Iterator[Path]:
    with suppress(OSError):
        for path in place.iterdir() if place.is_dir() and not place.is_symlink() else [place]:
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                yield from _files(path)
            elif stat.S_ISREG(mode):
                yield path


def _hidden(line: str, secrets: dict[str, str]) -> str:
    for form, name in secrets.items():
        line = line.replace(form, f"<{name}>")
    return _TOKEN.sub("<token>", line)
