"""The expected results of dagset.py: final states, and texts of each try."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The expected result of a task instance.

    Args:
        tries: printed texts of each try; a deferred task prints two, because it is executed twice.
        far: whether the task selects the second executor.
        more: other texts in the task's log.
        triggered: texts in the trigger's log.
        executions: number of executions if they print no text.
    """

    dag: str
    task: str
    state: str = "success"
    tries: tuple[tuple[str, ...], ...] = ()
    index: int = -1
    far: bool = False
    more: tuple[str, ...] = ()
    triggered: tuple[str, ...] = ()
    executions: int = 0

    @property
    def key(self) -> tuple[str, str, int]:
        """Return DAG id, task id and map index."""
        return self.dag, self.task, self.index

    @property
    def ledger(self) -> list[str]:
        """Return the lines that the task instance must append to the file TEST_LEDGER."""
        name = f"{self.dag} {self.task} {self.index}"
        return [f"{name} {number} {text}" for number, texts in enumerate(self.tries, 1) for text in texts]

    @property
    def logs(self) -> list[tuple[int, str]]:
        """Return pairs of a try number and a text that this try's log must contain."""
        found = [(number, text) for number, texts in enumerate(self.tries, 1) for text in texts]
        return found + [(1, text) for text in self.more]

    @property
    def times(self) -> int:
        """Return how often the task is executed."""
        return len(self.ledger) or self.executions

    @property
    def last_try(self) -> int:
        """Return the number of the last try."""
        return len(self.tries) or int(self.executions > 0)


DAGS = {
    "fan": "success",
    "mapped": "success",
    "again": "success",
    "secrets": "success",
    "broken": "failed",
    "patient": "success",
    "container": "success",
}
LOADED = ("loaded <load_deferred>",)
EXPECTED = (
    Expected(dag="fan", task="begin", tries=(("the fan opens",),)),
    *(Expected(dag="fan", task=f"piece_{n}", tries=((f"piece <{n}>",),), far=n % 10 == 0) for n in range(50)),
    Expected(dag="fan", task="end", tries=(("the fan closes",),)),
    Expected(dag="mapped", task="numbers", tries=(("five numbers",),)),
    *(
        Expected(dag="mapped", task="square", index=n, tries=((f"the square of <{n + 1}>",),), far=True)
        for n in range(5)
    ),
    Expected(dag="mapped", task="total", tries=(("the total <55>",),)),
    Expected(dag="again", task="second_time", tries=(("try <1>",), ("try <2>",)), far=True),
    Expected(dag="secrets", task="use", tries=(("<warehouse.example.org> <blue> <right>",),)),
    Expected(dag="broken", task="breaks", state="failed", tries=(("on purpose",),)),
    Expected(dag="broken", task="never", state="upstream_failed"),
    Expected(dag="patient", task="wait", tries=(("it sleeps", "it wakes"),), triggered=("yielding event",)),
    Expected(dag="container", task="load", executions=1, more=("loaded <load>",)),
    Expected(dag="container", task="load_deferred", executions=2, more=("ECS Task stopped",), triggered=LOADED),
)
