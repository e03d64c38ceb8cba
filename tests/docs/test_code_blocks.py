"""Every Python block of README, docs and docstrings runs, each page in one namespace."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
from pathlib import Path

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_secretsmanager as secretsmanager
from pages import PAGES, ROOT, name_of, page
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

import cdk_airflow_ecs

OPTIONS = doctest.ELLIPSIS
SYBIL = Sybil(parsers=[PythonCodeBlockParser(doctest_optionflags=OPTIONS)])
WITH_BLOCKS = [path for path in PAGES if "```python" in path.read_text(encoding="utf-8")]
MODULES = [
    module.name
    for module in pkgutil.walk_packages(cdk_airflow_ecs.__path__, "cdk_airflow_ecs.")
    # Programs for containers and Lambda import packages that are not installed here.
    if not module.name.startswith(("cdk_airflow_ecs.in_container.", "cdk_airflow_ecs.in_lambda."))
]
# These modules require the package's extra "local", so only those with examples are tested.
EXTRA = ("cdk_airflow_ecs.local", "cdk_airflow_ecs.cli")
SOURCES = {name: Path(cdk_airflow_ecs.__path__[0]).parent / f"{name.replace('.', '/')}.py" for name in MODULES}
MODULES = [
    name
    for name, source in SOURCES.items()
    if not name.startswith(EXTRA) or (source.exists() and ">>>" in source.read_text(encoding="utf-8"))
]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Change to a folder with DAGs and with a directory for an image."""
    for folder in ("dags", "airflow/dags"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "hello.py").write_text("")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("path", WITH_BLOCKS, ids=name_of)
def test_the_python_blocks_of_each_page_run(path: Path):
    """The Python blocks of a page share one namespace."""
    examples = list(SYBIL.parse(path).examples())
    assert examples
    for example in examples:
        example.evaluate()


@pytest.mark.parametrize("name", MODULES)
def test_the_docstring_examples_of_each_module_run(name: str):
    """The docstring examples of each module run."""
    module = importlib.import_module(name)
    known = {public: getattr(cdk_airflow_ecs, public) for public in cdk_airflow_ecs.__all__}
    if name.endswith("databases.existing_postgres"):
        known["secret"] = secretsmanager.Secret.from_secret_name_v2(Stack(App(), "Docs"), "Login", "login")
    result = doctest.testmod(module, extraglobs=known, optionflags=OPTIONS)
    assert result.failed == 0


def test_the_docs_contain_the_third_party_executor_of_the_tests():
    """guides/extend/executors.md contains contracts/foreign_executor.py, which other tests use."""
    source = (ROOT / "tests/contracts/foreign_executor.py").read_text(encoding="utf-8")
    assert f"```python\n{source}```" in page("guides/extend/executors.md")


def test_the_sqs_page_contains_the_python_module_that_images_need():
    """celery-on-sqs.md contains the Python module that an image needs for SQS."""
    broker = cdk_airflow_ecs.SqsBroker().plan(cdk_airflow_ecs.AirflowVersion.V2_9, ["default"])
    assert f"```py\n{broker.image_files['airflow_ecs_celery.py']}```" in page("guides/tasks/celery-on-sqs.md")


@pytest.mark.airflow
def test_airflow_loads_the_dag_of_the_tutorial():
    """Airflow loads the tutorial's DAG, which has one task."""
    text = page("get-started/tutorial.md")
    source = text[text.index("<!-- dag -->") :].partition("```py\n")[2].partition("```")[0]
    check = f"{source}\nimport airflow.sdk as s\nprint(sorted(hello().task_ids))"
    python = ROOT / ".venvs/airflow-3.3.2/bin/python"
    done = subprocess.run([python, "-c", check], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["['say']"], done.stderr
