"""The examples in docstrings run with only the public names and the names of their module."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import cdk_airflow_ecs


def examples() -> dict[str, doctest.DocTest]:
    """Return each docstring of the package that contains an example."""
    found = {}
    public = {name: getattr(cdk_airflow_ecs, name) for name in cdk_airflow_ecs.__all__}
    # Examples may use a variable `secret`.
    given = {"secret": SimpleNamespace(secret_arn="arn:aws:secretsmanager:eu-central-1:123456789012:secret:s-AbCdEf")}
    for info in pkgutil.walk_packages(cdk_airflow_ecs.__path__, "cdk_airflow_ecs."):
        if ".handler" in info.name:
            continue  # programs for Lambda cannot be imported here
        # Find the file without importing the module, because that would need the extra [local].
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
def test_an_example_in_a_docstring_prints_its_output(name):
    """Each line of an example prints the text below it; "..." matches any text."""
    messages: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(EXAMPLES[name], out=messages.append).failed == 0, "".join(messages)


def test_public_classes_that_an_app_uses_have_docstring_examples():
    """The classes that users write in an app have examples."""
    owners = {name.rpartition(".")[2] for name in EXAMPLES}
    written = {"AirflowCluster", "CeleryExecutor", "ExistingDatabase", "RdsDatabase", "RedisBroker", "S3Dags", "Web"}
    assert written | {"Service", "WorkerPool", "AirflowVersion", "Executor"} <= owners
