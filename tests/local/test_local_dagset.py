"""What the matrix of executors asserts and tells, without a cluster."""

from __future__ import annotations

import ast
from pathlib import Path

import matrix
import pytest
from dagset.wanted import DAGS, WANTED
from matrix import Row, tell

SOURCE = Path(__file__).with_name("dagset") / "dagset.py"


def test_what_is_wanted_is_what_the_dag_set_has():
    """Every DAG of the file has an expected state, and task instances; no instance is expected twice."""
    calls = [node for node in ast.walk(ast.parse(SOURCE.read_text())) if isinstance(node, ast.Call)]
    dags = {call.args[0].value for call in calls if getattr(call.func, "id", "") == "DAG"}
    assert dags == set(DAGS) == {wanted.dag for wanted in WANTED}
    assert len({wanted.key for wanted in WANTED}) == len(WANTED)


def test_a_try_that_was_executed_twice_is_two_lines():
    """A retry has a line with its own number, a deferred task two of one number, a task without its turn none."""
    found = {wanted.task: wanted.ledger for wanted in WANTED}
    assert found["second_time"] == ["again second_time -1 1 try <1>", "again second_time -1 2 try <2>"]
    assert found["wait"] == ["patient wait -1 1 it sleeps", "patient wait -1 1 it wakes"]
    assert found["never"] == []


def test_one_table_over_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Rows that another process has written stay; a case that runs again replaces its own."""
    monkeypatch.setenv("E2E_REPORT", str(tmp_path))
    for name, seconds in (("celery", 1), ("ecs", 2), ("celery", 3)):
        monkeypatch.setattr(matrix, "_ROWS", {})
        tell(Row(executor=name, release="3.3.2", up=seconds, dags=4, instances=66, logs=66))
    rows = (tmp_path / "executors.md").read_text().splitlines()[2:]
    assert [row.split(" | ")[:4] for row in rows] == [["| celery", "3.3.2", "3", "4"], ["| ecs", "3.3.2", "2", "4"]]
