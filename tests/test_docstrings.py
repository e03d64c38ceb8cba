"""The examples in docstrings run as they stand, with nothing but the public names and their own module."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import cdk_airflow_ecs


def examples() -> dict[str, doctest.DocTest]:
    """Every docstring of the package with an example in it."""
    found = {}
    public = {name: getattr(cdk_airflow_ecs, name) for name in cdk_airflow_ecs.__all__}
    # What an example may take for granted: a secret that the user has.
    given = {"secret": SimpleNamespace(secret_arn="arn:aws:secretsmanager:eu-central-1:123456789012:secret:s-AbCdEf")}
    for info in pkgutil.walk_packages(cdk_airflow_ecs.__path__, "cdk_airflow_ecs."):
        if ".handler" in info.name:
            continue  # the Lambda's own code
        # Read, not imported: what the extra [local] needs is not here.
        file = info.module_finder.find_spec(info.name, None).origin
        if info.ispkg or ">>>" not in Path(file).read_text():
            continue
        module = importlib.import_module(info.name)
        for test in doctest.DocTestFinder().find(module, extraglobs={**vars(module), **public, **given}):
            if test.examples:
                found[test.name] = test
    return found


EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_does_what_it_says(name):
    """Each line runs and prints what stands below it; "..." stands for anything."""
    messages: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(EXAMPLES[name], out=messages.append).failed == 0, "".join(messages)


def test_what_people_write_has_examples():
    """The names that an app is written with show how."""
    owners = {name.rpartition(".")[2] for name in EXAMPLES}
    written = {"AirflowCluster", "CeleryExecutor", "ExistingDatabase", "RdsDatabase", "RedisBroker", "S3Dags", "Web"}
    assert written | {"Service", "WorkerPool", "AirflowVersion", "Executor"} <= owners
