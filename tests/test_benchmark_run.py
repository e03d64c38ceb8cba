"""The figures of `make bench-run` are computed correctly, and are within limits on their documentation page."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template

REPOSITORY = Path(__file__).parents[1]
CELERY = "AIRFLOW__CELERY__"


@pytest.fixture(scope="module", autouse=True)
def benchmarks():
    """Make the benchmark modules importable."""
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    yield
    sys.path.remove(str(REPOSITORY / "benchmarks"))


def module(name):
    """Import a module of benchmarks/."""
    return importlib.import_module(name)


def at(second):
    """Return a time as Airflow's API formats it."""
    return f"2026-11-22T21:00:{second:06.3f}Z"


def task(start, end):
    """Return the start and end of a task as Airflow's API does."""
    return {"start_date": at(start), "end_date": at(end)}


@pytest.mark.parametrize(("share", "value"), [(0.5, 10), (0.95, 19), (1, 20), (0.01, 1)])
def test_a_percentile_is_one_of_the_values(share, value):
    """The n-th percentile is the smallest value that at least n percent of the values do not exceed."""
    assert module("run").percentile(list(range(20, 0, -1)), share) == value


def test_the_waiting_time_of_a_task_begins_when_the_previous_task_ends():
    """The waiting time of the first task begins when the DAG run is created."""
    waited = module("run").seconds({"queued_at": at(1)}, [task(4, 5), task(1.5, 2), task(2.25, 3)])
    assert waited == pytest.approx([0.5, 0.25, 1])


def test_the_task_rate_counts_from_the_creation_of_the_dag_run():
    """The rate is computed until the end of the last task."""
    tasks = [task(10, 20), task(12, 30), task(11, 12)]
    assert module("run").rate({"queued_at": at(0)}, tasks) == pytest.approx(6)


def test_waiting_times_in_airflow_2_begin_at_the_start_of_the_dag_run():
    """Waiting times begin at the start of the DAG run, because Airflow 2 has no queue time."""
    assert module("run").seconds({"start_date": at(1)}, [task(3, 4)]) == pytest.approx([2])


def test_memory_is_measured_proportionally_for_shared_pages():
    """Memory is measured as PSS; RSS would count shared memory once for each process."""
    text = "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss: 204800 kB\nPss: 51200 kB\nPss_Dirty: 1024 kB\n"
    assert module("memory").proportional(text) == 50
    assert module("memory").proportional("") == 0


def test_a_process_belongs_to_its_nearest_container():
    """A process belongs to the container whose main process is its nearest ancestor, or to no container."""
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 20: 1, 30: 1}
    assert module("memory").owners(parents, [10, 20]) == {10: 10, 11: 10, 12: 10, 20: 20}


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_the_memory_of_a_container_includes_child_processes(tmp_path):
    """The sampler adds the memory of a container's main process and of that process's children."""
    child = "print('up', flush=True); input()"
    sleeper = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    words = [sys.executable, "-c", sleeper]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        (tmp_path / "1.json").write_text(json.dumps({"name": "Scheduler/scheduler", "pid": process.pid}))
        assert process.stdout.readline() == b"up\n"
        own = module("memory").proportional(Path(f"/proc/{process.pid}/smaps_rollup").read_text())
        assert module("memory").Sampler(tmp_path, {}).look()["Scheduler"] > own > 0
        process.communicate(b"\n")


def test_memory_above_85_percent_is_bold():
    """On the page, memory above 85 % of the task's memory is bold."""
    cell = module("run").cell
    assert cell(870, 1024) == "870 of 1024 MiB, 85%"
    assert cell(880, 1024) == "**880 of 1024 MiB, 86%**"
    assert cell(None, 1024) == ""


def environment(template, container):
    """Return the environment variables of a container, and the properties of its task definition."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::ECS::TaskDefinition":
            for each in resource["Properties"]["ContainerDefinitions"]:
                if each["Name"] == container:
                    return {item["Name"]: item["Value"] for item in each["Environment"]}, resource["Properties"]
    raise LookupError(container)


@pytest.mark.parametrize(("name", "memory"), [("compose", 2048), ("seed", 1024)])
def test_clusters_for_comparison_use_airflow_defaults(name, memory):
    """The clusters for comparison use Airflow's default options instead of AirflowCluster's."""
    stack = Stack(App(), "Benchmark")
    module("clusters").CLUSTERS[name](stack)
    template = Template.from_stack(stack).to_json()
    variables, task = environment(template, "worker")
    assert variables[f"{CELERY}WORKER_CONCURRENCY"] == "16"
    assert "db+postgresql://" in variables[f"{CELERY}RESULT_BACKEND_CMD"]
    assert not [each for each in variables if each.startswith("AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS")]
    assert variables["AIRFLOW__LOGGING__REMOTE_LOGGING"] == "False"
    assert variables["AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"] == "600"
    assert int(task["Memory"]) == memory == module("memory").sizes(template)["worker"]


def results():
    """Return the two tables of the page by row and column."""
    page = (REPOSITORY / "docs" / "concepts" / "benchmarks-run.md").read_text().partition(module("run").MARK)[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    second = next(number for number, row in enumerate(rows) if row[0] == "Component")
    tables = rows[:second], rows[second:]
    return [{row[0]: dict(zip(table[0], row, strict=True)) for row in table[2:]} for table in tables]


def test_measured_memory_and_rate_are_within_the_limits():
    """No component of AirflowCluster uses more than 85 % of its memory, and its rate is at least 90 % of Airflow's."""
    labels = module("run").LABELS
    clusters, components = results()
    assert set(clusters) == set(labels.values())
    for row in components.values():
        for name in ("ours", "near", "wide", "ours-2"):
            assert "**" not in row[labels[name]], row
    rates = {
        name: int(clusters[label]["Tasks per minute (repetitions)"].split("*")[2]) for name, label in labels.items()
    }
    assert rates["wide"] > 0.9 * rates["compose"]
