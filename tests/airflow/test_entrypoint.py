"""The official image's entry point is dangerous with some variables, but not with those of a plan."""

from __future__ import annotations

import pytest
from entrypoint import Start, start

from cdk_airflow_ecs import AirflowVersion, CeleryExecutor, LocalExecutor
from cdk_airflow_ecs.testing import plan_of

QUIET = {"CONNECTION_CHECK_MAX_COUNT": "0"}


@pytest.mark.parametrize(
    ("arguments", "executes"),
    [
        (["airflow", "scheduler"], ("airflow", "scheduler")),
        (["scheduler"], ("airflow", "scheduler")),
        (["airflow", "celery", "worker"], ("airflow", "celery", "worker")),
        (["python", "-c", "print()"], ("python", "-c", "print()")),
        (["bash", "-c", "true"], ("/bin/bash", "-c", "true")),
        # The script recognizes only python and bash; any other word becomes a subcommand of airflow.
        (["python3", "-c", "print()"], ("airflow", "python3", "-c", "print()")),
        ([], ("airflow",)),
    ],
)
def test_the_first_word_of_a_command_selects_the_program(arguments, executes):
    """The first word of the command decides whether the entry point starts Airflow, Python or bash."""
    assert start(QUIET, arguments) == Start(executes, reads=("CONNECTION_CHECK_MAX_COUNT",))


@pytest.mark.parametrize("checks", [{}, {"CONNECTION_CHECK_MAX_COUNT": ""}, {"CONNECTION_CHECK_MAX_COUNT": "20"}])
@pytest.mark.parametrize("command", ["scheduler", "celery"])
def test_the_broker_check_exposes_the_broker_password(checks, command):
    """Without CONNECTION_CHECK_MAX_COUNT=0, the script passes the broker's URL with its password as an argument."""
    begun = start(checks, ["airflow", command])
    assert begun.waits_for == ("database", "broker")
    assert begun.exposes == ("broker URL",)
    assert not begun.is_clean


@pytest.mark.parametrize(
    ("arguments", "executor"),
    [
        (["airflow", "api-server"], "CeleryExecutor"),
        (["airflow", "scheduler"], "LocalExecutor"),
        (["airflow", "scheduler"], "CeleryExecutor,LocalExecutor"),
        (["python", "-c", "print()"], "CeleryExecutor"),
    ],
)
def test_the_entry_point_waits_for_the_database_before_every_command(arguments, executor):
    """The entry point script waits for the database before every command."""
    assert start({}, arguments, executor=executor).waits_for == ("database",)


def test_variables_named_db_host_or_backend_redirect_the_broker_check():
    """Variables named DB_HOST, DB_PORT or BACKEND redirect the broker check."""
    begun = start({"DB_HOST": "database", "DB_PORT": "5432", "BACKEND": "postgres"}, ["airflow", "scheduler"])
    assert begun.reads == ("BACKEND", "DB_HOST", "DB_PORT")


@pytest.mark.parametrize("name", ["_AIRFLOW_DB_MIGRATE", "_AIRFLOW_DB_UPGRADE"])
def test_airflow_db_migrate_makes_each_container_migrate_the_database(name):
    """With _AIRFLOW_DB_MIGRATE, each container migrates the database at each start."""
    begun = start({**QUIET, name: "true"}, ["airflow", "scheduler"])
    assert begun.runs == ("airflow db migrate",)
    assert not begun.is_clean


def test_the_entry_point_passes_the_admin_password_as_an_argument():
    """The script passes the admin's password to ``airflow users create`` as an argument."""
    variables = {**QUIET, "_AIRFLOW_WWW_USER_CREATE": "true", "_AIRFLOW_WWW_USER_PASSWORD": "x"}
    assert start(variables, ["airflow", "webserver"]).exposes == ("admin password",)


def test_an_admin_without_password_stops_the_container():
    """The container stops if an admin without a password is configured."""
    assert start({**QUIET, "_AIRFLOW_WWW_USER_CREATE": "true"}, ["airflow", "webserver"]).executes == ()


def test_pip_additional_requirements_makes_each_container_run_pip():
    """With _PIP_ADDITIONAL_REQUIREMENTS, each container installs the requirements at each start."""
    assert start({**QUIET, "_PIP_ADDITIONAL_REQUIREMENTS": "x"}, ["airflow", "webserver"]).runs == ("pip install",)


@pytest.mark.parametrize("executor", [CeleryExecutor, LocalExecutor])
@pytest.mark.parametrize("version", AirflowVersion.ALL, ids=str)
def test_planned_containers_only_start_their_command(version, executor):
    """With every planned container, the entry point script only starts the command."""
    for component in plan_of(version=version, executor=executor()).components:
        for container in component.containers:
            environment = {name: str(value) for name, value in container.environment.items()}
            words = (*container.prefix, *container.command)
            begun = start(environment, words, executor=environment.get("AIRFLOW__CORE__EXECUTOR", ""))
            assert begun == Start(words, reads=("CONNECTION_CHECK_MAX_COUNT",)), container.name
            assert not [name for name in environment if name.startswith(("DB_", "BACKEND", "_"))], container.name
