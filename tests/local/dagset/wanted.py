"""What becomes of the DAG set: the final state of each DAG and task instance, and what each try tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One task instance.

    Args:
        dag: its DAG.
        task: its task.
        state: its final state.
        tries: what each try tells, one execution after the other; a task that is deferred is executed twice.
        index: its number among the instances of a mapped task.
        far: whether it names the second of several executors.
        more: what its log has that it did not tell.
        triggered: what its trigger tells.
        executions: how often a task is executed that tells nothing.
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
        """By which it is found."""
        return self.dag, self.task, self.index

    @property
    def ledger(self) -> list[str]:
        """Its lines in the ledger."""
        name = f"{self.dag} {self.task} {self.index}"
        return [f"{name} {number} {text}" for number, texts in enumerate(self.tries, 1) for text in texts]

    @property
    def logs(self) -> list[tuple[int, str]]:
        """The number of each try, and a text that its log has."""
        found = [(number, text) for number, texts in enumerate(self.tries, 1) for text in texts]
        return found + [(1, text) for text in self.more]

    @property
    def times(self) -> int:
        """How often it is executed."""
        return len(self.ledger) or self.executions

    @property
    def last_try(self) -> int:
        """The number of its last try."""
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
WANTED = (
    Wanted(dag="fan", task="begin", tries=(("the fan opens",),)),
    *(Wanted(dag="fan", task=f"piece_{n}", tries=((f"piece <{n}>",),), far=n % 10 == 0) for n in range(50)),
    Wanted(dag="fan", task="end", tries=(("the fan closes",),)),
    Wanted(dag="mapped", task="numbers", tries=(("five numbers",),)),
    *(Wanted(dag="mapped", task="square", index=n, tries=((f"the square of <{n + 1}>",),), far=True) for n in range(5)),
    Wanted(dag="mapped", task="total", tries=(("the total <55>",),)),
    Wanted(dag="again", task="second_time", tries=(("try <1>",), ("try <2>",)), far=True),
    Wanted(dag="secrets", task="use", tries=(("<warehouse.example.org> <blue> <right>",),)),
    Wanted(dag="broken", task="breaks", state="failed", tries=(("on purpose",),)),
    Wanted(dag="broken", task="never", state="upstream_failed"),
    Wanted(dag="patient", task="wait", tries=(("it sleeps", "it wakes"),), triggered=("yielding event",)),
    Wanted(dag="container", task="load", executions=1, more=("loaded <load>",)),
    Wanted(dag="container", task="load_deferred", executions=2, more=("ECS Task stopped",), triggered=LOADED),
)
