"""The evaluation of task executions after a fault."""

from __future__ import annotations

import pytest
from faults import TASKS, Outcome, executions

# A run in which five tasks of one second start per second; the fault lasts from 100 s to 110 s.
QUIET = "".join(f"{n} 1 begins {90 + n / 5:.1f}\n{n} 1 ends {91 + n / 5:.1f}\n" for n in range(TASKS))


def outcome(text: str) -> Outcome:
    """Evaluate the lines that tasks wrote at their begin and end."""
    return Outcome(executions(text), struck=100.0, healed=110.0)


def test_a_run_without_repeated_tasks_has_no_errors():
    """A run in which each task ran once has no errors, and the expected times."""
    judged = outcome(QUIET)
    assert judged.wrong() == []
    assert judged.repeated == []
    assert judged.flows_after == pytest.approx(1.2)
    assert judged.longest_pause == pytest.approx(0.2)


def test_a_task_that_the_fault_affected_may_run_again():
    """A task may be repeated if its try did not end, or its result was lost during the fault."""
    text = QUIET.replace("50 1 ends 101.0\n", "") + "50 2 begins 150.0\n50 2 ends 151.0\n"
    judged = outcome(
        text + "45 2 begins 150.0\n45 2 ends 151.0\n"
    )  # the first try of task 45 ended when the fault began
    assert judged.wrong() == []
    assert judged.repeated == [45, 50]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("50 1 begins 150.0\n50 1 ends 151.0\n", "try 1 of task 50 ran 2 times"),
        ("3 2 begins 150.0\n3 2 ends 151.0\n", "task 3 was repeated though"),
        ("190 2 begins 150.0\n190 2 ends 151.0\n", "task 190 was repeated though"),
    ],
    ids=["one try twice", "done long before", "begun long after"],
)
def test_a_repeated_task_that_the_fault_did_not_affect_is_an_error(more, expected):
    """Repeating a task that the fault did not affect is an error."""
    assert any(text.startswith(expected) for text in outcome(QUIET + more).wrong())


def test_a_task_that_never_ended_is_an_error():
    """A task that never ended is an error."""
    assert outcome(QUIET.replace("7 1 ends 92.4\n", "", 1)).wrong() == ["task 7 never ended"]
