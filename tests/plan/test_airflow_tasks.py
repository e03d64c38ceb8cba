"""ECS tasks that run one Airflow command, and the cleanup of the metadata database."""

from __future__ import annotations

import pytest
from plans import TEXT_TOKEN, VERSIONS, EcsSecret, containers, option, plan

from cdk_airflow_ecs import DatabaseCleanup
from cdk_airflow_ecs.airflow import NO_DAGS
from cdk_airflow_ecs.commands.airflow_task import DATABASE, AirflowTask
from cdk_airflow_ecs.ecs_task import EcsTask
from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.plan import Edge, SecretRef

RESERIALIZE = AirflowTask(name="reserialize", command=["airflow", "dags", "reserialize"])
CLEANUP = "AirflowTasks/database-cleanup"


def with_tasks(*tasks, line="3.3", executor="celery", **arguments):
    """Plan a cluster with the given Airflow tasks."""
    return plan(line, executor, airflow_tasks=tasks, **arguments)


def command_of(cleanup, line):
    """Return the arguments of the program that cleans the database of a release."""
    (container,) = plan(line, maintenance_tasks=[cleanup]).component(CLEANUP).containers
    assert container.command[:3] == ("python", "-c", program("clean_database"))
    return container.command[3:]


@pytest.mark.parametrize("line", VERSIONS)
def test_an_airflow_task_that_loads_dags_has_the_variables_of_the_dag_processor(line):
    """The task also has the secrets, files and permissions of the DAG processor."""
    found = with_tasks(RESERIALIZE, line=line)
    task, (container,) = (
        found.component("AirflowTasks/reserialize"),
        found.component("AirflowTasks/reserialize").containers,
    )
    processor = found.component("DagProcessor")
    assert (container.name, container.command) == ("airflow", ("airflow", "dags", "reserialize"))
    assert (container.environment, container.prefix) == (
        processor.containers[0].environment,
        processor.containers[0].prefix,
    )
    assert (task.permissions, task.runs_user_code) == (processor.permissions, True)
    assert (task.kind, task.count, task.cpu, task.memory_mib) == ("command task", None, 1024, 2048)
    edges = {(edge.target, edge.port) for edge in found.edges if edge.source == task.name}
    assert edges == {(edge.target, edge.port) for edge in found.edges if edge.source == "DagProcessor"}


@pytest.mark.parametrize("line", VERSIONS)
def test_an_airflow_task_without_dags_only_has_the_database_and_the_fernet_key(line):
    """An Airflow task that needs only the database has no DAG files, no permissions and no other secrets."""
    task = with_tasks(AirflowTask(name="check", command=["airflow", "db", "check"], needs=DATABASE), line=line)
    (container,) = task.component("AirflowTasks/check").containers
    assert (task.component("AirflowTasks/check").permissions, container.prefix) == ((), ())
    assert task.component("AirflowTasks/check").runs_user_code is False
    assert option(container, "core", "dags_folder") == NO_DAGS
    assert {value.of for value in container.environment.values() if isinstance(value, SecretRef)} == {
        "Database",
        "Fernet",
    }


@pytest.mark.parametrize("line", VERSIONS)
def test_the_database_cleanup_has_no_secret_but_the_database_login(line):
    """The cleanup connects only to the database, and has no Fernet key."""
    found = plan(line, maintenance_tasks=[DatabaseCleanup()])
    task = found.component(CLEANUP)
    secrets = {value.of for value in task.containers[0].environment.values() if isinstance(value, SecretRef)}
    assert (secrets, task.permissions, task.cpu, task.memory_mib) == ({"Database"}, (), 512, 1024)
    assert [edge for edge in found.edges if edge.source == CLEANUP] == [Edge(CLEANUP, "Database", 5432, "")]


def test_airflow_tasks_do_not_change_other_components():
    """Airflow tasks are added to the plan; all components and edges of the plan without the tasks are equal."""
    before, after = plan(), with_tasks(RESERIALIZE, maintenance_tasks=[DatabaseCleanup()])
    names = {part.name for part in before.components}
    assert [part for part in after.components if part.name in names] == [*before.components]
    assert [edge for edge in after.edges if not edge.source.startswith("AirflowTasks")] == [*before.edges]


@pytest.mark.parametrize("line", VERSIONS)
def test_the_database_cleanup_omits_tables_that_an_airflow_release_cannot_clean(line):
    """Airflow 3.0 to 3.2 cannot clean the table dag_version, or delete recent task instances with it."""
    days, *tables = command_of(DatabaseCleanup(keep_days=30), line)
    assert days == "30"
    if line in ("3.0", "3.1", "3.2"):
        assert not {"dag", "dag_version"} & {*tables[0].split(",")}
        assert {"dag_run", "task_instance", "xcom", "log", "job"} <= {*tables[0].split(",")}
        with pytest.raises(ValueError, match=f"tables='dag_version' requires another release than Airflow {line}"):
            command_of(DatabaseCleanup(tables=["log", "dag_version"]), line)
    else:
        assert tables == []
        assert command_of(DatabaseCleanup(tables=["log", "dag"]), line) == ("90", "log,dag")


def test_an_airflow_task_has_the_environment_and_size_in_its_arguments():
    """The environment of the cluster is added to that of the Airflow task."""
    task = AirflowTask(
        name="etl",
        command=["airflow", "info"],
        environment={"STAGE": "dev", "API_TOKEN": EcsSecret()},
        cpu=2048,
        memory_mib=8192,
        ephemeral_storage_gib=50,
    )
    found = with_tasks(task, environment={"TEAM": "data"}, config={"core": {"parallelism": 8}}).component(
        task.component
    )
    variables = found.containers[0].environment
    assert (variables["STAGE"], variables["TEAM"], variables["AIRFLOW__CORE__PARALLELISM"]) == ("dev", "data", "8")
    assert variables["API_TOKEN"] == SecretRef("Given", "AirflowTasks/etl/API_TOKEN")
    assert (found.cpu, found.memory_mib, found.ephemeral_storage_gib) == (2048, 8192, 50)


@pytest.mark.parametrize(
    "schedule", ["cron(0 3 * * ? *)", "cron(30 2 ? * SUN *)", "rate(1 day)", "rate(12 hours)", TEXT_TOKEN, None]
)
def test_valid_schedules_of_an_airflow_task_are_accepted(schedule):
    """A schedule may be rate(…), cron(…) or a token."""
    assert AirflowTask(name="a", command=["airflow", "info"], schedule=schedule).schedule == schedule


@pytest.mark.parametrize(
    "schedule", ["0 3 * * *", "@daily", "cron(0 3 * * *)", "cron(0 3 * * * *)", "rate(1 days)", "rate(0 days)", 5]
)
def test_schedules_that_eventbridge_rejects_are_rejected(schedule):
    """The error shows the accepted forms of a schedule."""
    with pytest.raises(ValueError, match=r'schedule must be "cron\(0 3 \* \* \? \*\)" .* or "at'):
        AirflowTask(name="a", command=["airflow", "info"], schedule=schedule)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "1st"}, "an Airflow task's name"),
        ({"command": "airflow info"}, r"Airflow task 'a': command must be a list such as"),
        ({"command": []}, r"Airflow task 'a': command must be a list of words"),
        ({"command": ["airflow", 1]}, r"Airflow task 'a': command must be a list of words"),
        ({"command": ["airflow", "users", "create", "--password", "hunter2"]}, "looks like a secret"),
        ({"time_zone": ""}, "time_zone must be text such as"),
        ({"memory_mib": 100}, "Airflow task 'a': memory_mib=100"),
    ],
)
def test_invalid_arguments_of_an_airflow_task_are_rejected(arguments, message):
    """The error has the given value and the accepted values."""
    with pytest.raises(ValueError, match=message):
        AirflowTask(**{"name": "a", "command": ["airflow", "info"], **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep_days": 0}, "DatabaseCleanup keep_days must be an integer"),
        ({"schedule": None}, "DatabaseCleanup schedule must be text"),
        ({"schedule": "@daily"}, "DatabaseCleanup schedule must be"),
        ({"tables": "log"}, "DatabaseCleanup tables must be a list"),
        ({"tables": ["log;drop"]}, "DatabaseCleanup tables must be names"),
        ({"cpu": 3}, "DatabaseCleanup: cpu=3|DatabaseCleanup cpu=3"),
    ],
)
def test_invalid_arguments_of_the_database_cleanup_are_rejected(arguments, message):
    """The error has the given value and the accepted values."""
    with pytest.raises(ValueError, match=message):
        DatabaseCleanup(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"airflow_tasks": (RESERIALIZE, AirflowTask(name="Reserialize", command=["airflow", "info"]))},
        {"airflow_tasks": (RESERIALIZE,), "ecs_tasks": (EcsTask(name="reserialize"),)},
        {"maintenance_tasks": [DatabaseCleanup(), DatabaseCleanup()]},
    ],
)
def test_two_airflow_or_ecs_tasks_must_not_have_the_same_name(arguments):
    """Otherwise, the log streams of both tasks would have the same names."""
    with pytest.raises(ValueError, match="have the same name"):
        plan(**arguments)


def test_maintenance_tasks_must_be_a_list_of_database_cleanups():
    """A DatabaseCleanup without a list, or a list of text, raises an error."""
    for given in (DatabaseCleanup(), ["cleanup"]):
        with pytest.raises(ValueError, match="maintenance_tasks= must be"):
            plan(maintenance_tasks=given)


def test_an_airflow_task_must_not_set_an_option_of_the_cluster():
    """Options in the environment of an Airflow task are checked like those of services."""
    task = AirflowTask(name="a", command=["airflow", "info"], environment={"AIRFLOW__CORE__EXECUTOR": "LocalExecutor"})
    with pytest.raises(ValueError, match="executor"):
        with_tasks(task)


def test_services_have_no_variable_about_airflow_tasks():
    """DAGs cannot start an Airflow task, because no environment variable describes the task."""
    found = containers(with_tasks(RESERIALIZE))
    assert not [name for name in found["worker"].environment if "RESERIALIZE" in name.upper()]
