"""The expected results of dagset.py and the report of executors are complete; no cluster runs."""

from __future__ import annotations

import ast
from pathlib import Path

import matrix
import pytest
from dagset.wanted import DAGS, EXPECTED
from matrix import Row, add_row

SOURCE = Path(__file__).with_name("dagset") / "dagset.py"


def test_every_task_in_dagset_py_has_one_expected_state():
    """Every DAG and task in dagset.py has exactly one expected state."""
    calls = [node for node in ast.walk(ast.parse(SOURCE.read_text())) if isinstance(node, ast.Call)]
    dags = {call.args[0].value for call in calls if getattr(call.func, "id", "") == "DAG"}
    assert dags == set(DAGS) == {expected.dag for expected in EXPECTED}
    assert len({expected.key for expected in EXPECTED}) == len(EXPECTED)


def test_a_deferred_task_must_write_two_lines_to_the_ledger():
    """The ledger needs a line for each try, two for a deferred task, and none for a task that did not run."""
    found = {expected.task: expected.ledger for expected in EXPECTED}
    assert found["second_time"] == ["again second_time -1 1 try <1>", "again second_time -1 2 try <2>"]
    assert found["wait"] == ["patient wait -1 1 it sleeps", "patient wait -1 1 it wakes"]
    assert found["never"] == []


def test_several_processes_write_one_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A process keeps the rows that other processes wrote, and replaces the row of a repeated case."""
    monkeypatch.setenv("E2E_REPORT", str(tmp_path))
    for name, seconds in (("celery", 1), ("ecs", 2), ("celery", 3)):
        monkeypatch.setattr(matrix, "_ROWS", {})
        add_row(Row(executor=name, release="3.3.2", up=seconds, dags=4, instances=66, logs=66))
    rows = (tmp_path / "executors.md").read_text().splitlines()[2:]
    assert [row.split(" | ")[:4] for row in rows] == [["| celery", "3.3.2", "3", "4"], ["| ecs", "3.3.2", "2", "4"]]
