"""The DAG sync: copies a bucket to a folder, one complete revision at a time."""

from __future__ import annotations

import ast
import errno
import hashlib
import importlib.util
import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType

import boto3
import pytest

from servers import free_port

REPO = Path(__file__).parents[2]
SOURCE = REPO / "src/cdk_airflow_ecs/in_container/dag_sync.py"


class Bucket:
    """A fake S3 client with a dictionary as bucket; it records downloads."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.downloads: list[str] = []
        self.broken: Exception | None = None
        self.changing = False
        self.written = 0.0  # seconds since 1970

    def get_paginator(self, _: str) -> Bucket:
        """Return this object as the paginator."""
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Iterator[dict]:
        """Yield pages of two keys, or one page without contents if the bucket is empty."""
        assert Bucket == "bucket"
        if self.broken:
            raise self.broken
        keys = sorted(key for key in self.objects if key.startswith(Prefix))
        if not keys:
            yield {"KeyCount": 0}
        for start in range(0, len(keys), 2):
            yield {"Contents": [self._entry(key) for key in keys[start : start + 2]]}

    def get_object(self, Bucket: str, Key: str, IfMatch: str) -> dict:
        """Return one object if its ETag still matches."""
        self.downloads.append(Key)
        if self.changing or self._entry(Key)["ETag"] != IfMatch:
            raise RuntimeError("PreconditionFailed")
        return {"Body": io.BytesIO(self.objects[Key])}

    def _entry(self, key: str) -> dict:
        body = self.objects[key]
        written = datetime.fromtimestamp(self.written, tz=timezone.utc)
        return {"Key": key, "Size": len(body), "ETag": hashlib.md5(body).hexdigest(), "LastModified": written}


@pytest.fixture
def sync() -> ModuleType:
    """Import the DAG sync."""
    spec = importlib.util.spec_from_file_location("dag_sync", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bucket(sync: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Return an empty bucket, from which the DAG sync reads."""
    bucket = Bucket()
    monkeypatch.setattr(sync.boto3, "client", lambda service: bucket)
    return bucket


def files(folder: Path) -> dict[str, str]:
    """Return the text of each file below *folder*."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_each_object_in_the_bucket_becomes_a_file(sync: ModuleType, bucket: Bucket, tmp_path: Path) -> None:
    """Each object becomes a file whose path is its key; keys that end with a slash are ignored."""
    bucket.objects = {
        "a.py": b"1",
        "team/b.py": b"2",
        "team/deep/c.sql": b"3",
        "team/": b"",
        ".airflowignore": b"x",
    }

    sync.Mirror("s3://bucket", str(tmp_path / "dags")).sync()

    assert files(tmp_path / "dags") == {
        "a.py": "1",
        "team/b.py": "2",
        "team/deep/c.sql": "3",
        ".airflowignore": "x",
    }


@pytest.mark.parametrize("source", ["s3://bucket/team", "s3://bucket/team/"])
def test_only_keys_below_the_prefix_are_copied(sync: ModuleType, bucket: Bucket, tmp_path: Path, source: str) -> None:
    """Only keys below the prefix are copied, to paths without the prefix."""
    bucket.objects = {"team/a.py": b"1", "team2/b.py": b"2", "c.py": b"3"}

    sync.Mirror(source, str(tmp_path / "dags")).sync()

    assert files(tmp_path / "dags") == {"a.py": "1"}


def test_a_key_outside_the_target_folder_is_skipped(sync: ModuleType, bucket: Bucket, tmp_path: Path) -> None:
    """Keys that would be written outside the target folder, or are no valid path, are skipped."""
    evil = ["../evil.py", "a/../../evil.py", "/tmp/evil.py", "a//evil.py", "./evil.py", "..", "a/..", "/"]
    bucket.objects = dict.fromkeys(evil, b"evil") | {"good.py": b"good", "..fine.py": b"fine"}

    sync.Mirror("s3://bucket", str(tmp_path / "dags")).sync()

    assert files(tmp_path / "dags") == {"good.py": "good", "..fine.py": "fine"}
    assert sorted(path.name for path in tmp_path.rglob("*.py")) == ["..fine.py", "good.py"]


BAD = {
    "reports": "it is a folder too",
    "x" * 256 + ".py": "more than 255 bytes",
    "deep/" + "é" * 128 + "/a.py": "more than 255 bytes",
    "../evil.py": "is empty",
    "a//b.py": "is empty",
    "nul\0.py": "has a NUL",
}
GOOD = {"new_dag.py": b"1", "reports/r.py": b"2", "con.py": b"3", "aux": b"4", "x" * 255: b"5", 'w: "?*<>|\\.py': b"6"}


@pytest.mark.parametrize("bad", BAD)
def test_an_invalid_key_does_not_affect_other_keys(
    sync: ModuleType, bucket: Bucket, tmp_path: Path, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid key is logged with each revision; objects with other keys are synchronized, also after a restart."""
    bucket.objects = {**GOOD, bad: b"bad"}
    for _ in range(2):
        sync.first_sync(sync.Mirror("s3://bucket", str(tmp_path / "dags")))
    bucket.objects["later.py"] = b"7"
    sync.next_sync(sync.Mirror("s3://bucket", str(tmp_path / "dags")))

    expected = {path: body.decode() for path, body in GOOD.items()}
    assert files(tmp_path / "dags") == {**expected, "later.py": "7"}
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        lines[0],
        "dags: 6 files from s3://bucket/, 1 skipped",
        lines[0],
        "dags: 7 files from s3://bucket/, 1 skipped",
    ]
    assert BAD[bad] in lines[0]
    assert repr(bad) in lines[0]


def test_an_object_whose_name_the_file_system_rejects_is_skipped(
    sync: ModuleType,
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An object whose name the file system rejects is skipped, and not downloaded again until it changes."""
    monkeypatch.setattr(sync, "LONGEST", 1000)
    bucket.objects = {"a.py": b"1", "x" * 300: b"bad"}
    for _ in range(3):
        sync.Mirror("s3://bucket", str(tmp_path / "dags")).sync()

    assert files(tmp_path / "dags") == {"a.py": "1"}
    assert bucket.downloads == ["a.py"]
    skipped, count = capsys.readouterr().out.splitlines()
    assert "File name too long" in skipped
    assert count == "dags: 1 files from s3://bucket/, 1 skipped"


def test_a_key_that_is_also_a_folder_is_copied_when_the_folder_is_gone(
    sync: ModuleType, bucket: Bucket, tmp_path: Path
) -> None:
    """A key such as `a` is skipped while a key `a/b` exists, and copied when that is gone, and vice versa."""
    mirror = sync.Mirror("s3://bucket", str(tmp_path / "dags"))
    bucket.objects = {"reports": b"1", "reports/r.py": b"2"}
    mirror.sync()
    assert files(tmp_path / "dags") == {"reports/r.py": "2"}
    del bucket.objects["reports/r.py"]
    mirror.sync()
    assert files(tmp_path / "dags") == {"reports": "1"}
    bucket.objects["reports/r.py"] = b"2"
    mirror.sync()
    assert files(tmp_path / "dags") == {"reports/r.py": "2"}


def test_a_full_disk_fails_the_dag_sync(sync: ModuleType, bucket: Bucket, tmp_path: Path, monkeypatch) -> None:
    """A full disk is an error; only invalid names are skipped."""
    bucket.objects = {"a.py": b"1"}

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sync.os, "makedirs", full)
    with pytest.raises(OSError, match="No space left"):
        sync.Mirror("s3://bucket", str(tmp_path / "dags")).sync()


def test_an_empty_bucket_becomes_an_empty_folder(sync: ModuleType, bucket: Bucket, tmp_path: Path) -> None:
    """Airflow starts although the bucket is empty."""
    sync.Mirror("s3://bucket", str(tmp_path / "dags")).sync()

    assert list((tmp_path / "dags").iterdir()) == []


def test_the_dag_sync_downloads_nothing_if_the_bucket_is_unchanged(
    sync: ModuleType, bucket: Bucket, tmp_path: Path
) -> None:
    """If the bucket is unchanged, the DAG sync downloads nothing and creates no new revision."""
    bucket.objects = {"a.py": b"1"}
    mirror = sync.Mirror("s3://bucket", str(tmp_path / "dags"))
    mirror.sync()
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))

    mirror.sync()

    assert sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
    assert bucket.downloads == ["a.py"]


def test_the_dag_sync_downloads_only_changed_files(sync: ModuleType, bucket: Bucket, tmp_path: Path) -> None:
    """A new revision has hard links to unchanged files, so that Airflow does not parse these again."""
    bucket.objects = {"same.py": b"1", "changed.py": b"1", "gone.py": b"1"}
    sync.Mirror("s3://bucket", str(tmp_path / "dags")).sync()
    old = (tmp_path / "dags").resolve()
    bucket.downloads.clear()
    bucket.objects = {"same.py": b"1", "changed.py": b"2", "new/new.py": b"1"}

    sync.Mirror("s3://bucket", str(tmp_path / "dags")).sync()

    assert sorted(bucket.downloads) == ["changed.py", "new/new.py"]
    assert files(tmp_path / "dags") == {"same.py": "1", "changed.py": "2", "new/new.py": "1"}
    assert (tmp_path / "dags/same.py").samefile(old / "same.py")
    assert files(old) == {"same.py": "1", "changed.py": "1", "gone.py": "1"}, "a reader may still be in there"


@pytest.fixture
def clock(sync: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Return a fake clock, which only sleeping advances."""
    now = [1e9]
    monkeypatch.setattr(sync.time, "time", lambda: now[0])
    monkeypatch.setattr(sync.time, "time_ns", lambda: int(now[0] * 1e9))
    monkeypatch.setattr(sync.time, "sleep", lambda seconds: now.append(now.pop() + seconds))
    return now


def test_old_revisions_of_the_dag_files_are_removed_after_ten_minutes(
    sync: ModuleType, bucket: Bucket, tmp_path: Path, clock: list[float]
) -> None:
    """A revision of the DAG files is removed ten minutes after a new one replaced it."""
    left = []
    for seconds in (0, 86_400, 86_999, 87_001, 200_000):
        clock[0] = 1e9 + seconds
        if seconds <= 86_400:
            bucket.objects = {"a.py": str(seconds).encode()}
        sync.Mirror("s3://bucket", str(tmp_path / "dags")).sync()
        left.append(len(list((tmp_path / "dags.revisions").iterdir())))

    assert left == [1, 2, 2, 1, 1]
    assert files(tmp_path / "dags") == {"a.py": "86400"}


def test_a_revision_of_the_dag_files_in_use_is_kept(
    sync: ModuleType, bucket: Bucket, tmp_path: Path, clock: list[float]
) -> None:
    """A revision of the DAG files that a task uses is kept until the task ends."""
    mirror = sync.Mirror("s3://bucket", str(tmp_path / "dags"))
    bucket.objects = {"a.py": b"1"}
    mirror.sync()
    old = mirror.current
    lock = sync.hold(old)
    clock[0] += 10
    bucket.objects = {"a.py": b"2"}
    mirror.sync()
    clock[0] += 86_400

    mirror.sync()
    assert files(Path(old)) == {"a.py": "1"}
    os.close(lock)
    mirror.sync()
    assert not Path(old).exists()
    assert files(tmp_path / "dags") == {"a.py": "2"}


def test_an_incomplete_revision_of_the_dag_files_is_removed(
    sync: ModuleType, bucket: Bucket, tmp_path: Path, clock: list[float]
) -> None:
    """The DAG sync ignores, and later removes, the incomplete revision that a killed sync left."""
    mirror = sync.Mirror("s3://bucket", str(tmp_path / "dags"))
    bucket.objects = {"a.py": b"1"}
    mirror.sync()
    half = tmp_path / f"dags.revisions/{int(1e18) + 5}"
    (half / "dags").mkdir(parents=True)
    clock[0] += 86_400
    mirror.sync()
    assert files(tmp_path / "dags") == {"a.py": "1"}

    bucket.objects = {"a.py": b"2"}
    for _ in range(2):
        mirror.sync()
        clock[0] += 86_400
    mirror.sync()

    assert files(tmp_path / "dags") == {"a.py": "2"}
    assert not half.exists()


def test_the_dag_sync_waits_for_the_rest_of_an_upload(
    sync: ModuleType, bucket: Bucket, tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The DAG sync waits until the newest object is three seconds old."""
    mirror = sync.Mirror("s3://bucket", str(tmp_path / "dags"))
    bucket.objects = {"dag.py": b"1", "helper.py": b"1"}
    mirror.sync()
    sleep = sync.time.sleep

    def upload_the_rest(seconds: float) -> None:
        sleep(seconds)
        bucket.objects["helper.py"] = b"2"

    monkeypatch.setattr(sync.time, "sleep", upload_the_rest)
    bucket.objects = {"dag.py": b"2", "helper.py": b"1"}
    bucket.written = clock[0] - 1
    mirror.sync()

    assert files(tmp_path / "dags") == {"dag.py": "2", "helper.py": "2"}
    assert clock[0] == 1e9 + 2


def test_continuous_uploads_delay_the_dag_sync_by_six_seconds(
    sync: ModuleType, bucket: Bucket, tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Continuous uploads, or a wrong clock, delay the DAG sync by at most six seconds."""
    bucket.objects = {"a.py": b"1"}
    bucket.written = clock[0] + 3600
    mirror = sync.Mirror("s3://bucket", str(tmp_path / "dags"))

    mirror.sync()
    mirror.sync()

    assert files(tmp_path / "dags") == {"a.py": "1"}
    assert clock[0] == 1e9 + 6, "what is published already is not waited for"


@pytest.mark.parametrize("what", ["unreachable", "changing"])
def test_a_failed_background_sync_keeps_the_last_dag_files(
    sync: ModuleType, bucket: Bucket, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A background sync that fails logs one line and keeps the last revision of the files."""
    bucket.objects = {"a.py": b"1", "b.py": b"1"}
    mirror = sync.Mirror("s3://bucket", str(tmp_path / "dags"))
    mirror.sync()
    reading, writing = os.pipe()
    bucket.objects["b.py"] = b"2"
    bucket.broken, bucket.changing = (ConnectionError("refused"), False) if what == "unreachable" else (None, True)
    sleeps = iter([True, True, False])  # two syncs fail, the third succeeds
    real = mirror.sync

    def sync_then_close() -> None:
        if not next(sleeps):
            bucket.broken, bucket.changing = None, False
            os.close(writing)
        real()

    mirror.sync = sync_then_close
    capsys.readouterr()

    sync.follow(mirror, 0.01, reading)

    os.close(reading)
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("dags: keeping the last revision: ") for line in lines] == [True, True, False]
    assert files(tmp_path / "dags") == {"a.py": "1", "b.py": "2"}
    assert len(list((tmp_path / "dags.revisions").iterdir())) == 2, "what was half made is removed"


def test_the_first_dag_sync_retries_for_two_minutes(
    sync: ModuleType, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first DAG sync retries while the task role is not usable yet, and fails after two minutes."""
    slept = []
    monkeypatch.setattr(sync.time, "sleep", slept.append)
    bucket.broken = PermissionError("AccessDenied")
    mirror = sync.Mirror("s3://bucket", str(tmp_path / "dags"))

    with pytest.raises(PermissionError):
        sync.first_sync(mirror)

    assert 110 <= sum(slept) <= 150
    assert not (tmp_path / "dags").exists()


def test_the_dag_sync_does_not_overwrite_a_folder_of_the_image(
    sync: ModuleType, bucket: Bucket, tmp_path: Path
) -> None:
    """If the target folder exists in the image, the DAG sync fails."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags/mine.py").touch()

    with pytest.raises(OSError, match="directory"):
        sync.Mirror("s3://bucket", str(tmp_path / "dags")).sync()

    assert (tmp_path / "dags/mine.py").exists()


READER = """
import importlib, os, sys, time
sys.dont_write_bytecode = True
target, stop, seen = sys.argv[1:]
rounds, revisions = 0, set()
while not os.path.exists(stop):
    # As a task does on Airflow 3: the link is looked up once, then modules are imported one by one.
    for folder in (os.path.realpath(target), target):
        sys.path[:1] = [folder]
        importlib.invalidate_caches()
        for name in [name for name in sys.modules if name.split('.')[0] == 'team']:
            del sys.modules[name]
        from team import first, second
        if folder != target:
            assert first.REVISION == second.REVISION == len(first.PADDING), (first.REVISION, second.REVISION)
            if first.REVISION not in revisions:
                with open(seen, 'a') as log:
                    log.write('.')
            revisions.add(first.REVISION)
    rounds += 1
print(rounds, len(revisions))
"""


def test_a_python_process_never_imports_dag_files_of_two_revisions(
    sync: ModuleType, bucket: Bucket, tmp_path: Path
) -> None:
    """A process that imports modules during fifty changes never finds files of different revisions."""
    target, stop, seen = tmp_path / "dags", tmp_path / "stop", tmp_path / "seen"
    seen.touch()
    mirror = sync.Mirror("s3://bucket", str(target))

    def publish(revision: int) -> None:
        code = f"REVISION = {revision}\nPADDING = {'x' * revision!r}\n".encode()
        bucket.objects = {"team/__init__.py": b"", "team/first.py": code, "team/second.py": code}
        bucket.objects |= {f"team/only_in_{revision}.py": b"", "team/other.py": b"same"}
        mirror.sync()

    publish(1)
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(target), str(stop), str(seen)], stdout=-1, stderr=-1, text=True
    ) as reader:
        end = time.monotonic() + 60
        for revision in itertools.count(2):
            publish(revision)
            time.sleep(0.03)
            # Continue until the reader has started, which may take longer than fifty revisions.
            if revision > 50 and (seen.stat().st_size > 10 or reader.poll() is not None or time.monotonic() > end):
                break
        stop.touch()
        output, errors = reader.communicate(timeout=60)

    assert (reader.returncode, errors) == (0, "")
    rounds, revisions = map(int, output.split())
    assert rounds >= revisions > 10


def test_python_3_8_can_parse_the_dag_sync() -> None:
    """The DAG sync uses only syntax and methods of Python 3.8."""
    text = SOURCE.read_text()
    ast.parse(text, feature_version=(3, 8))
    assert "removeprefix" not in text


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Start moto's S3."""
    port = free_port()
    server = subprocess.Popen([REPO / ".venvs/local/bin/moto_server", "-p", str(port)], stdout=-3, stderr=-3, cwd="/")
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: s3(url).list_buckets())
    yield url
    server.kill()
    server.wait()


def s3(endpoint: str):
    """Return a client of moto's S3."""
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until *condition* is true and does not raise."""
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except Exception:
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def followers(target: Path) -> list[int]:
    """Return the processes that synchronize *target* in the background."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(target).encode() in arguments and b"-c" in arguments:
            found.append(int(process.name))
    return found


COMMAND = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("graceful", flush=True), sys.exit(7)))
try:
    os.waitpid(-1, os.WNOHANG)
    print("has a child", flush=True)
except ChildProcessError:
    print("started with", sorted(os.listdir(sys.argv[1])), os.getpid() == os.getpgrp(), flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.mark.slow
@pytest.mark.xdist_group("sync")
@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_the_background_sync_ends_when_the_airflow_command_ends(endpoint: str, tmp_path: Path, kill: int) -> None:
    """The command replaces the sync's process; the background sync ends when the command ends or is killed."""
    name, target = f"dags-{int(kill)}", tmp_path / "live"
    client = s3(endpoint)
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="team/a.py", Body=b"1")
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": endpoint,
        **dict.fromkeys(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "x"),
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    python = [sys.executable, "-c", SOURCE.read_text(), f"s3://{name}/team", str(target), "0.2"]
    with subprocess.Popen(
        [*python, sys.executable, "-c", COMMAND, str(target)],
        env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        limit = threading.Timer(300, process.kill)
        limit.start()
        try:
            assert process.stdout.readline() == f"dags: 1 files from s3://{name}/team/\n"
            assert process.stdout.readline() == "started with ['a.py'] True\n"
            (follower,) = [pid for pid in followers(target) if pid != process.pid]
            assert os.getsid(follower) != os.getsid(process.pid)

            client.put_object(Bucket=name, Key="team/b.py", Body=b"2")
            client.delete_object(Bucket=name, Key="team/a.py")
            wait_for(lambda: files(target) == {"b.py": "2"})

            process.send_signal(kill)
            assert process.wait(60) == (7 if kill == signal.SIGTERM else -signal.SIGKILL)
            wait_for(lambda: not followers(target))
            assert ("graceful\n" in process.stdout.read()) == (kill == signal.SIGTERM)
        finally:
            limit.cancel()
            process.kill()
