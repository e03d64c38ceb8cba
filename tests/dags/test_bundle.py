"""The DAG bundle for Airflow 3: what a task and the DAG processor see of a bucket that changes."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from test_sync import Bucket, files

DAGS = Path(__file__).parents[2] / "src/cdk_airflow_ecs/in_container"


def module(name: str, file: str) -> ModuleType:
    """Import one of the files that images get."""
    spec = importlib.util.spec_from_file_location(name, DAGS / file)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def bucket() -> Bucket:
    """Return a bucket with one file."""
    bucket = Bucket()
    bucket.objects = {"team/a.py": b"1"}
    return bucket


@pytest.fixture
def bundle(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Make bundles as Airflow does, one for each process; tests/airflow has a real Airflow do it."""

    class BaseDagBundle:
        """What this bundle needs of Airflow's."""

        def __init__(self, *, name: str, refresh_interval: int) -> None:
            assert refresh_interval == 30
            self.base_dir = tmp_path / "dag_bundles" / name

        def initialize(self) -> None:
            """Look at the path, as Airflow's does."""
            assert self.path.is_dir()

        @contextmanager
        def lock(self) -> Iterator[None]:
            """Let one process in."""
            yield

    base = ModuleType("airflow.dag_processing.bundles.base")
    base.BaseDagBundle = BaseDagBundle
    sync = module("airflow_ecs_sync", "dag_sync.py")
    monkeypatch.setattr(sync.boto3, "client", lambda service: bucket)
    monkeypatch.setitem(sys.modules, "airflow_ecs_sync", sync)
    for name in ("airflow", "airflow.dag_processing", "airflow.dag_processing.bundles", base.__name__):
        monkeypatch.setitem(sys.modules, name, base)
    for name in ("AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW_ECS_DAGS_FOLDER"):
        monkeypatch.setenv(name, "")  # so that it is as before when the test is over
        monkeypatch.delenv(name)
    made = module("airflow_ecs_bundle", "dag_bundle.py").S3DagBundle
    return lambda: made(name="dags", bucket_name="bucket", prefix="team/", refresh_interval=30)


def test_each_task_keeps_what_it_began_with(bundle: Callable, bucket: Bucket):
    """A task sees the bucket as it was when the task began, whatever later ones bring."""
    first = bundle()
    first.initialize()
    bucket.objects = {"team/b.py": b"2"}
    second = bundle()
    second.initialize()

    assert (files(first.path), files(second.path)) == ({"a.py": "1"}, {"b.py": "2"})
    assert (first.get_current_version(), first.supports_versioning) == (None, False)


def test_the_option_dags_folder_names_the_files(bundle: Callable, bucket: Bucket, monkeypatch: pytest.MonkeyPatch):
    """A DAG factory that reads ``[core] dags_folder`` finds what is imported beside it, of the same revision."""
    for content in (b"1", b"2"):
        bucket.objects = {"team/a.yaml": content}
        task = bundle()
        task.initialize()
        assert os.environ["AIRFLOW__CORE__DAGS_FOLDER"] == str(task.path)
        assert files(Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])) == {"a.yaml": content.decode()}
    task.refresh()
    assert os.environ["AIRFLOW__CORE__DAGS_FOLDER"] == str(task.path)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "/theirs")
    bundle().initialize()
    assert os.environ["AIRFLOW__CORE__DAGS_FOLDER"] == "/theirs"


def test_the_dag_processor_has_one_path(bundle: Callable, bucket: Bucket):
    """Its folder follows the bucket and keeps its name, which can be part of what a DAG is."""
    processor = bundle()
    processor.initialize()
    processor.refresh()
    path = processor.path
    assert files(path) == {"a.py": "1"}

    bucket.objects = {"team/a.py": b"2"}
    processor.refresh()

    assert (processor.path, files(path)) == (path, {"a.py": "2"})
    assert bundle().path == path, "callbacks use a bundle that nobody initialized"


def test_only_tasks_hold_files(bundle: Callable):
    """What a task began with is in use until it ends; the DAG processor lets go at its first refresh."""
    sync = sys.modules["airflow_ecs_sync"]
    task, processor = bundle(), bundle()
    task.initialize()
    folder = str(task.path)
    assert not sync.is_free(folder)
    task.refresh()
    assert sync.is_free(folder)
    processor.initialize()
    processor.refresh()
    assert sync.is_free(folder)


def test_a_bucket_that_cannot_be_read_stops_no_task(
    bundle: Callable, bucket: Bucket, capsys: pytest.CaptureFixture[str]
):
    """The last state stays, and a line says why; without any, the error comes after the first sync's patience."""
    bundle().initialize()
    capsys.readouterr()
    bucket.broken = ConnectionError("refused")
    task = bundle()
    task.initialize()

    assert files(task.path) == {"a.py": "1"}
    assert capsys.readouterr().out == "dags: keeping the last revision: ConnectionError: refused\n"


def test_the_first_look_is_patient(bundle: Callable, bucket: Bucket, monkeypatch: pytest.MonkeyPatch):
    """Without any state a bucket that cannot be read is an error, after two minutes."""
    slept: list[float] = []
    monkeypatch.setattr(sys.modules["airflow_ecs_sync"].time, "sleep", slept.append)
    bucket.broken = PermissionError("AccessDenied")
    with pytest.raises(PermissionError):
        bundle().initialize()
    assert 110 <= sum(slept) <= 150
