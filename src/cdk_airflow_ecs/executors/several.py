"""Several executors in one cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, cast

from cdk_airflow_ecs import option_merging, validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.executors.base import Executor, ExecutorBindContext, ExecutorContext, ExecutorPlan, Workers
from cdk_airflow_ecs.executors.celery import CeleryExecutor
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError

if TYPE_CHECKING:
    from cdk_airflow_ecs.capacity.pools import WorkerPool
    from cdk_airflow_ecs.option_owner import UserOptions
    from cdk_airflow_ecs.plan import Option, Value

T = TypeVar("T")
_EXAMPLE = "[CeleryExecutor(), EcsExecutor()]"


@dataclass(frozen=True, slots=True)
class SeveralExecutors(Executor):
    """Run tasks on the first executor, or on the one that a task names: ``executor="ecs"``. Airflow 2.10 or newer.

    Tasks, or a DAG's ``default_args``, name an executor by alias, or by class: ``"CeleryExecutor"``. ``[core]
    parallelism`` or ``LocalExecutor(parallelism=…)`` limits all executors together.

    Args:
        executors: two or more, of different classes. The first is the default.

    Raises:
        ValueError: if there are fewer than two, two of one class, or two with different values of one option.

    Examples:
        >>> SeveralExecutors([CeleryExecutor(), EcsExecutor(spot=True)])
        SeveralExecutors(executors=(CeleryExecutor(...), EcsExecutor(...)))
    """

    executors: Sequence[Executor]

    def __post_init__(self) -> None:
        executors = validation.items("SeveralExecutors executors", self.executors, _EXAMPLE)
        for executor in executors:
            validation.instance("SeveralExecutors executors", executor, Executor, "EcsExecutor()")
            if isinstance(executor, SeveralExecutors):
                raise IncompatibleArgumentsError(
                    "SeveralExecutors cannot contain SeveralExecutors. Put all executors into one list"
                )
        if len(executors) < 2:
            raise ValueError(
                f"SeveralExecutors requires two or more executors such as {_EXAMPLE}, got {len(executors)}"
            )
        if repeated := _repeated(type(executor).__name__ for executor in executors):
            raise IncompatibleArgumentsError(
                f"SeveralExecutors has two of {repeated}, but Airflow accepts each executor only once"
            )
        object.__setattr__(self, "executors", executors)

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """See :meth:`Executor.plan`."""
        if context.version < AirflowVersion.of("2.10.0"):
            raise ValueError(
                f"SeveralExecutors requires Airflow 2.10 or newer, got {context.version}: older releases have only one"
            )
        plans = {type(executor).__name__: executor.plan(context) for executor in self.executors}
        members, line = plans.values(), context.version.line
        for what, names in (("class", [p.class_path for p in members]), ("alias", [p.alias for p in members])):
            if repeated := _repeated(name for name in names if name):
                raise IncompatibleArgumentsError(
                    f"SeveralExecutors has two executors of the {what} {repeated}, but Airflow accepts each {what}"
                    " only once"
                )
        for name, plan in plans.items():
            if plan.alias in [other.class_path.rpartition(".")[2] for other in members if other is not plan]:
                raise IncompatibleArgumentsError(
                    f"the alias {plan.alias} of {name} is the name of another executor. Use another alias"
                )
        return ExecutorPlan(
            class_path=",".join(f"{p.alias}:{p.class_path}" if p.alias else p.class_path for p in members),
            config=option_merging.merge([(name, plan.config) for name, plan in plans.items()], line),
            defaults=option_merging.merge([(name, plan.defaults) for name, plan in plans.items()], line),
            loader_config=option_merging.merge([(name, plan.loader_config) for name, plan in plans.items()], line),
            environment=_union("the variable", {name: plan.environment for name, plan in plans.items()}),
            stores=_union("the store", {name: plan.stores for name, plan in plans.items()}),
            workers=tuple(
                workers if position == 0 else _without_default(workers)
                for position, plan in enumerate(members)
                for workers in plan.workers
            ),
            tasks=tuple(task for plan in members for task in plan.tasks),
            edges=tuple(edge for plan in members for edge in plan.edges),
            permissions=tuple(permission for plan in members for permission in plan.permissions),
            tasks_in_scheduler=any(plan.tasks_in_scheduler for plan in members),
            requirements=tuple(dict.fromkeys(requirement for plan in members for requirement in plan.requirements)),
            image_files=_union("the file", {name: plan.image_files for name, plan in plans.items()}),
        )

    def relied_upon(self, version: AirflowVersion) -> Mapping[str, Mapping[Option, Value]]:
        """See :meth:`OptionOwner.relied_upon`."""
        found: dict[str, dict[Option, Value]] = {}
        for executor in self.executors:
            for why, relied in executor.relied_upon(version).items():
                found.setdefault(why, {}).update(relied)
        return found

    def check_options(self, version: AirflowVersion, given: UserOptions) -> None:
        """See :meth:`OptionOwner.check_options`."""
        for executor in self.executors:
            executor.check_options(version, given)

    def complete_options(self, options: Mapping[Option, Value]) -> Mapping[Option, Value]:
        """See :meth:`Executor.complete_options`."""
        return {name: value for each in self.executors for name, value in each.complete_options(options).items()}

    def with_pool(self, pool: WorkerPool) -> SeveralExecutors:
        """See :meth:`Executor.with_pool`."""
        for position, executor in enumerate(self.executors):
            if isinstance(executor, CeleryExecutor):
                grown = executor.with_pool(pool)
                return SeveralExecutors([*self.executors[:position], grown, *self.executors[position + 1 :]])
        # Not super(), which fails without arguments in dataclasses with slots.
        return cast("SeveralExecutors", Executor.with_pool(self, pool))

    def bind(self, context: ExecutorBindContext) -> None:
        """See :meth:`Executor.bind`."""
        for executor in self.executors:
            executor.bind(context)


def _without_default(workers: Workers) -> Workers:
    """Return *workers* of an executor that does not run tasks that name none."""
    return replace(workers, executor_names=tuple(name for name in workers.executor_names if name is not None))


def _repeated(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(sorted({name for name in listed if listed.count(name) > 1}))


def _union(what: str, parts: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    found: dict[str, tuple[str, T]] = {}
    for owner, mapping in parts.items():
        for name, value in mapping.items():
            other, given = found.setdefault(name, (owner, value))
            if given != value:
                raise IncompatibleArgumentsError(
                    f"{what} {name} differs between {other} and {owner}. Remove one of the two executors"
                )
    return {name: value for name, (_, value) in found.items()}
