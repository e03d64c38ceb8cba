"""The state directory is private and complete, and only one run at a time uses it."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest

from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.state import State


class Bucket:
    """A fake S3 client with the methods that the state directory uses."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = dict(objects)

    def get_paginator(self, name: str):
        """Return this object as the paginator."""
        assert name == "list_objects_v2"
        return self

    def paginate(self, Bucket: str):
        """Yield the keys."""
        keys = sorted(self.objects)
        # Two pages, as S3 returns for many objects.
        return [{"Contents": [{"Key": key} for key in keys[:1]]}, {"Contents": [{"Key": key} for key in keys[1:]]}]

    def get_object(self, Bucket: str, Key: str):
        """Return an object."""
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Bucket: str, Key: str, Body: bytes):
        """Store an object."""
        self.objects[Key] = Body


def test_only_the_owner_can_read_the_state_directory(tmp_path: Path):
    """In the state directory, folders have mode 0700 and files 0600, with any umask."""
    state = State.open(tmp_path / "state")
    state.remember("fernet", lambda: "a secret")
    state.write("something", {"a": 1})
    state.save_buckets(Bucket(a=b"1"), {"Dags": "dags-123"})
    with state.lock():
        paths = [state.directory, *state.directory.rglob("*")]
        assert len(paths) > 6
        for path in paths:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_state_directory_keeps_its_secrets_and_id(tmp_path: Path):
    """A second run has the same id and secrets; another directory has different ones."""
    first = State.open(tmp_path / "a")
    assert first.remember("x", lambda: "one") == "one"
    again = State.open(tmp_path / "a")
    assert again.id == first.id
    assert again.remember("x", lambda: "two") == "one"
    other = State.open(tmp_path / "b")
    assert other.id != first.id
    assert other.remember("x", lambda: "two") == "two"


def test_a_state_directory_accepts_one_run_at_a_time(tmp_path: Path):
    """A second run is refused with the pid of the first, until the first has ended."""
    state = State.open(tmp_path / "state")
    again = State.open(tmp_path / "state").lock()
    with state.lock(), pytest.raises(Refusal, match=r"already runs on .*process \d+.*local down"), again:
        pass
    with state.lock():
        pass


def test_saved_bucket_objects_are_restored(tmp_path: Path):
    """The next run restores exactly the bucket objects that existed at the end of the previous run."""
    state = State.open(tmp_path / "state")
    bucket = Bucket(**{"dags/a b.py": b"print()", "../../x": b"\0\xff"})
    assert state.save_buckets(bucket, {"Dags": "first"}) == 2
    del bucket.objects["../../x"]
    bucket.objects["new"] = b"n"
    assert state.save_buckets(bucket, {"Dags": "first"}) == 2
    fresh = Bucket()
    assert State.open(tmp_path / "state").restore_buckets(fresh, {"Dags": "second", "Other": "third"}) == 2
    assert fresh.objects == {"dags/a b.py": b"print()", "new": b"n"}


def test_a_folder_with_other_files_is_refused_as_state_directory(tmp_path: Path):
    """A folder with other files is refused and not changed."""
    folder = tmp_path / "project"
    folder.mkdir(mode=0o755)
    (folder / "app.py").touch()
    with pytest.raises(Refusal, match="contains other files"):
        State.open(folder)
    assert [path.name for path in folder.iterdir()] == ["app.py"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_the_error_names_an_invalid_state_file(tmp_path: Path):
    """If a file in the state directory is invalid JSON, the error has its name and a remedy."""
    state = State.open(tmp_path / "state")
    state.write("tasks", [1])
    (state.directory / "tasks.json").write_text('{"half')
    with pytest.raises(Refusal, match=r"tasks\.json is damaged"):
        state.read("tasks")
