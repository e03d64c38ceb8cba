"""The DAG bundle for Airflow 3: which DAG files tasks and the DAG processor use when the bucket changes."""

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
    """Import a program of src/cdk_airflow_ecs/in_container."""
    spec = importlib.util.spec_from_file_location(name, DAGS / file)
    result = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(result)
    return result


@pytest.fixture
def bucket() -> Bucket:
    """Return a bucket with one file."""
    bucket = Bucket()
    bucket.objects = {"team/a.py": b"1"}
    return bucket


@pytest.fixture
def bundle(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Return a function that creates a DAG bundle as each process of Airflow does."""

    class BaseDagBundle:
        """The part of Airflow's base class that the DAG bundle uses."""

        def __init__(self, *, name: str, refresh_interval: int) -> None:
            assert refresh_interval == 30
            self.base_dir = tmp_path / "dag_bundles" / name

        def initialize(self) -> None:
            """Check the bundle's path, as Airflow's class does."""
            assert self.path.is_dir()

        @contextmanager
        def lock(self) -> Iterator[None]:
            """Lock nothing."""
            yield

    base = ModuleType("airflow.dag_processing.bundles.base")
    base.BaseDagBundle = BaseDagBundle
    sync = module("airflow_ecs_sync", "dag_sync.py")
    monkeypatch.setattr(sync.boto3, "client", lambda service: bucket)
    monkeypatch.setitem(sys.modules, "airflow_ecs_sync", sync)
    for name in ("airflow", "airflow.dag_processing", "airflow.dag_processing.bundles", base.__name__):
        monkeypatch.setitem(sys.modules, name, base)
    for name in ("AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW_ECS_DAGS_FOLDER"):
        monkeypatch.setenv(name, "")  # so that monkeypatch restores the variable after the test
        monkeypatch.delenv(name)
    result = module("airflow_ecs_bundle", "dag_bundle.py").S3DagBundle
    return lambda: result(name="dags", bucket_name="bucket", prefix="team/", refresh_interval=30)


def test_a_task_keeps_the_dag_files_with_which_it_started(bundle: Callable, bucket: Bucket):
    """A task keeps its DAG files when the bucket changes."""
    first = bundle()
    first.initialize()
    bucket.objects = {"team/b.py": b"2"}
    second = bundle()
    second.initialize()

    assert (files(first.path), files(second.path)) == ({"a.py": "1"}, {"b.py": "2"})
    assert (first.get_current_version(), first.supports_versioning) == (None, False)


def test_core_dags_folder_is_the_folder_of_the_tasks_dag_files(
    bundle: Callable, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
):
    """DAG factories find the task's revision of the DAG files in ``[core] dags_folder``."""
    for content in (b"1", b"2"):
        bucket.objects = {"team/a.yaml": content}
        task = bundle()
        task.initialize()
        assert os.environ["AIRFLOW__CORE__DAGS_FOLDER"] == str(task.path)
        assert files(Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])) == {"a.yaml": content.decode()}
    task.refresh()
    assert os.environ["AIRFLOW__CORE__DAGS_FOLDER"] == str(task.path)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "/custom")
    bundle().initialize()
    assert os.environ["AIRFLOW__CORE__DAGS_FOLDER"] == "/custom"


def test_the_dag_processor_has_the_same_path_after_dag_files_change(bundle: Callable, bucket: Bucket):
    """The path of the DAG files stays the same in the DAG processor, because DAGs may depend on the path."""
    processor = bundle()
    processor.initialize()
    processor.refresh()
    path = processor.path
    assert files(path) == {"a.py": "1"}

    bucket.objects = {"team/a.py": b"2"}
    processor.refresh()

    assert (processor.path, files(path)) == (path, {"a.py": "2"})
    assert bundle().path == path, "callbacks use a bundle that is not initialized"


def test_a_task_holds_its_dag_files_until_it_ends(bundle: Callable):
    """A task holds its revision of the DAG files until it ends, the DAG processor until the next refresh."""
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


def test_a_task_starts_although_the_dag_bucket_cannot_be_read(
    bundle: Callable, bucket: Bucket, capsys: pytest.CaptureFixture[str]
):
    """If the bucket cannot be read, a task starts with the last revision of the DAG files and logs one line."""
    bundle().initialize()
    capsys.readouterr()
    bucket.broken = ConnectionError("refused")
    task = bundle()
    task.initialize()

    assert files(task.path) == {"a.py": "1"}
    assert capsys.readouterr().out == "dags: keeping the last revision: ConnectionError: refused\n"


def test_the_first_sync_of_the_dag_bundle_retries_for_two_minutes(
    bundle: Callable, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
):
    """If there are no DAG files yet, a bucket that cannot be read for two minutes is an error."""
    slept: list[float] = []
    monkeypatch.setattr(sys.modules["airflow_ecs_sync"].time, "sleep", slept.append)
    bucket.broken = PermissionError("AccessDenied")
    with pytest.raises(PermissionError):
        bundle().initialize()
    assert 110 <= sum(slept) <= 150
