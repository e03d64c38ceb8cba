"""Import errors and DAGs of an earlier local run disappear."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp

import pytest
from cluster import DAG, END_TO_END, Cluster, eventually, remove

pytestmark = END_TO_END
APP = Path(__file__).with_name("app.py")


@pytest.fixture
def folder():
    """Create a folder with a short name and remove it afterwards."""
    made = Path(mkdtemp(prefix="local-", dir="/tmp"))
    yield made
    remove(made)


@pytest.mark.parametrize("release", ["2.11.2"])
def test_deleted_files_are_not_listed_by_the_next_run(folder, release):
    """If a broken DAG file and a DAG are deleted between two runs, the second run does not list them."""
    cluster = Cluster(folder, str(APP), int(release[0]), TEST_EXECUTOR="local", TEST_AIRFLOW=release)
    broken, gone = cluster.dags / "broken.py", cluster.dags / "gone.py"
    broken.write_text("import a_module_that_does_not_exist  # airflow DAG")
    gone.write_text(DAG.replace("conversation", "gone"))
    with cluster:
        eventually(lambda: listed(cluster) == ([broken.name], ["conversation", "gone"]), 120)
    broken.unlink()
    gone.unlink()
    with cluster:
        eventually(lambda: listed(cluster) == ([], ["conversation"]), 240)


def listed(cluster: Cluster) -> tuple[list[str], list[str]]:
    """Return the files with import errors, and the active DAGs."""
    errors, dags = cluster.call("importErrors")[1], cluster.call("dags?only_active=true")[1]
    files = sorted(Path(each["filename"]).name for each in errors["import_errors"])
    return files, sorted(each["dag_id"] for each in dags["dags"])
