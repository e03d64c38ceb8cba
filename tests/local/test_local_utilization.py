"""CPU and memory of services, measured from their processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from cdk_airflow_ecs.local.agent.utilization import Utilization

BUSY = "end = __import__('time').monotonic() + 60\nwhile __import__('time').monotonic() < end: pass"
IDLE = "__import__('time').sleep(60)"
# A child process with its own session and 100 MB, like the process of an Airflow task.
CHILD = """
import subprocess, sys
code = "x = b'1' * 100_000_000; __import__('time').sleep(60)"
subprocess.run([sys.executable, "-c", code], start_new_session=True)
"""


@pytest.fixture
def started():
    """Start programs, each in its own session, and kill them afterwards."""
    processes: list[subprocess.Popen] = []

    def start(code: str) -> int:
        processes.append(subprocess.Popen([sys.executable, "-c", code], start_new_session=True))
        return processes[-1].pid

    yield start
    for process in processes:
        subprocess.run(["pkill", "-P", str(process.pid)], check=False)
        process.send_signal(signal.SIGKILL)
        process.wait()


def task(*pids: int) -> SimpleNamespace:
    """Return an ECS task of 0.25 vCPU and 512 MiB with a container for each process."""
    return SimpleNamespace(
        record=SimpleNamespace(id=f"task-{pids}"),
        definition=SimpleNamespace(cpu="256", memory="512"),
        containers=[SimpleNamespace(pid=pid) for pid in (*pids, None)],
    )


def test_cpu_and_memory_are_percentages_of_the_size_of_ecs_tasks(started):
    """A busy process uses at most 100 percent of its task's quarter of a CPU."""
    data: dict[str, dict[str, float]] = {}

    def put(Namespace, MetricData):
        assert Namespace == "AWS/ECS"
        for datum in MetricData:
            names = [each["Value"] for each in datum["Dimensions"]]
            assert names[0] == "cluster"
            data.setdefault(names[1], {})[datum["MetricName"]] = datum["Value"]

    utilization = Utilization(pace=0)
    busy, idle, child = started(BUSY), started(IDLE), started(CHILD)
    tasks = {"busy": [task(busy)], "idle": [task(idle)], "both": [task(busy, idle), task(child)], "none": []}
    services = [(SimpleNamespace(cluster_name="cluster", name=name), found) for name, found in tasks.items()]
    utilization.follow(services, lambda name: SimpleNamespace(put_metric_data=put))
    assert data == {}  # a percentage needs two measurements
    time.sleep(1.5)
    utilization.follow(services, lambda name: SimpleNamespace(put_metric_data=put))
    assert set(data) == {"busy", "idle", "both"}
    assert data["busy"]["CPUUtilization"] > 50
    assert data["busy"]["CPUUtilization"] <= 100
    assert data["idle"]["CPUUtilization"] < 20
    assert 0 < data["idle"]["MemoryUtilization"] < 5
    assert 10 < data["both"]["MemoryUtilization"] < 30


def test_cpu_and_memory_metrics_are_published_once_a_minute():
    """Nothing is measured again within the same minute."""
    utilization, services = Utilization(), [(SimpleNamespace(cluster_name="c", name="n"), [task()])]
    utilization.follow(services, pytest.fail)
    measured = utilization._measured
    utilization.follow(services, pytest.fail)
    assert utilization._measured == measured
