"""The state directory: private, whole, one run at a time."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest

from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.state import State


class Bucket:
    """As much of S3 as the state uses."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = dict(objects)

    def get_paginator(self, name: str):
        """Return something that lists."""
        assert name == "list_objects_v2"
        return self

    def paginate(self, Bucket: str):
        """List the keys."""
        keys = sorted(self.objects)
        # Two pages, as S3 would with many objects.
        return [{"Contents": [{"Key": key} for key in keys[:1]]}, {"Contents": [{"Key": key} for key in keys[1:]]}]

    def get_object(self, Bucket: str, Key: str):
        """Return one object."""
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Bucket: str, Key: str, Body: bytes):
        """Keep one object."""
        self.objects[Key] = Body


def test_only_the_owner_reads(tmp_path: Path):
    """The directory and its folders are 0700, every file is 0600, whatever the umask is."""
    state = State.open(tmp_path / "state")
    state.remember("fernet", lambda: "a secret")
    state.write("something", {"a": 1})
    state.save_buckets(Bucket(a=b"1"), {"Dags": "dags-123"})
    with state.lock():
        paths = [state.directory, *state.directory.rglob("*")]
        assert len(paths) > 6
        for path in paths:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_secrets_and_identity_stay(tmp_path: Path):
    """A second run gets the same id and the same secrets, and another directory gets others."""
    first = State.open(tmp_path / "a")
    assert first.remember("x", lambda: "one") == "one"
    again = State.open(tmp_path / "a")
    assert again.id == first.id
    assert again.remember("x", lambda: "two") == "one"
    other = State.open(tmp_path / "b")
    assert other.id != first.id
    assert other.remember("x", lambda: "two") == "two"


def test_one_run_at_a_time(tmp_path: Path):
    """A second run on the same directory is refused by the process number of the first; after it ended, it is not."""
    state = State.open(tmp_path / "state")
    again = State.open(tmp_path / "state").lock()
    with state.lock(), pytest.raises(Refusal, match=r"already runs on .*process \d+.*local down"), again:
        pass
    with state.lock():
        pass


def test_objects_come_back(tmp_path: Path):
    """What a bucket held at the end is what the next one holds: nothing lost, nothing that had been deleted."""
    state = State.open(tmp_path / "state")
    bucket = Bucket(**{"dags/a b.py": b"print()", "../../x": b"\0\xff"})
    assert state.save_buckets(bucket, {"Dags": "first"}) == 2
    del bucket.objects["../../x"]
    bucket.objects["new"] = b"n"
    assert state.save_buckets(bucket, {"Dags": "first"}) == 2
    fresh = Bucket()
    assert State.open(tmp_path / "state").restore_buckets(fresh, {"Dags": "second", "Other": "third"}) == 2
    assert fresh.objects == {"dags/a b.py": b"print()", "new": b"n"}


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path):
    """A readable folder that holds other files is refused, and neither its files nor its rights change."""
    folder = tmp_path / "project"
    folder.mkdir(mode=0o755)
    (folder / "app.py").touch()
    with pytest.raises(Refusal, match="contains other files"):
        State.open(folder)
    assert [path.name for path in folder.iterdir()] == ["app.py"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_damaged_file_is_named(tmp_path: Path):
    """A file that is no JSON is named, with what to do."""
    state = State.open(tmp_path / "state")
    state.write("tasks", [1])
    (state.directory / "tasks.json").write_text('{"half')
    with pytest.raises(Refusal, match=r"tasks\.json is damaged"):
        state.read("tasks")
