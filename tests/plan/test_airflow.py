"""Commands, secrets, edges and health checks of each Airflow release."""

from __future__ import annotations

import pytest
from plans import ACCEPTED, OWN_IMAGE, VERSIONS, containers, option, plan, services, settings_of

from cdk_airflow_ecs import AirflowVersion, HealthCheck, ImageDags, RdsDatabase, Service
from cdk_airflow_ecs.airflow import NO_DAGS
from cdk_airflow_ecs.plan import ClusterPlan, Ref, SecretRef
from cdk_airflow_ecs.process import Process

TWO = ["2.8", "2.9", "2.10", "2.11"]
THREE = ["3.0", "3.1", "3.2", "3.3"]

# The capabilities of each container; a container with "execution-api" is a client of the execution API.
AIRFLOW_3 = {
    "api-server": "database fernet jwt session",
    "execution-api": "database fernet jwt",
    "scheduler": "database fernet jwt broker",
    "dag-processor": "database fernet dags",
    "triggerer": "database fernet session",
    "worker": "session execution-api broker dags",
    "migrate": "database fernet admin",
}
AIRFLOW_2 = {
    "webserver": "database fernet session",
    "scheduler": "database fernet broker",
    "dag-processor": "database fernet dags",
    "triggerer": "database fernet session",
    "worker": "database fernet session broker dags",
    "migrate": "database fernet admin",
}
LOCAL_3 = {"scheduler": "database fernet jwt session execution-api dags", "worker": None}
LOCAL_2 = {"scheduler": "database fernet session dags", "worker": None}
ECS_3 = {"scheduler": "database fernet jwt", "worker": None, "task": "execution-api dags"}
ECS_2 = {"scheduler": "database fernet", "worker": None, "task": "database fernet dags"}

COMMANDS_3 = {
    "api-server": "airflow api-server --apps core --port 8080 --proxy-headers",
    "execution-api": "airflow api-server --apps execution --port 8081",
    "scheduler": "airflow scheduler",
    "dag-processor": "airflow dag-processor",
    "triggerer": "airflow triggerer",
    "worker": "airflow celery worker --queues default --without-gossip --without-mingle",
}
SCRIPT = "import multiprocessing.connection,sys;sys.argv[0]='airflow';from airflow.__main__ import main;main()"
COMMANDS_2 = {
    "webserver": "airflow webserver",
    "scheduler": "airflow scheduler",
    "dag-processor": f"python -c {SCRIPT} dag-processor",
    "triggerer": "airflow triggerer",
    "worker": "airflow celery worker --queues default --without-gossip --without-mingle",
}
EDGES_3 = """
    ApiServer Database 5432
    ApiServer Pools/default 8793
    ApiServer Triggerer 8794
    Clients Web 80
    DagProcessor Database 5432
    Migration Database 5432
    Pools/default ApiServer 8081
    Pools/default Broker 6379
    Scheduler Broker 6379
    Scheduler Database 5432
    Triggerer Database 5432
    Web ApiServer 8080
"""
EDGES_2 = """
    Clients Web 80
    DagProcessor Database 5432
    Migration Database 5432
    Pools/default Broker 6379
    Pools/default Database 5432
    Scheduler Broker 6379
    Scheduler Database 5432
    Triggerer Database 5432
    Web Webserver 8080
    Webserver Database 5432
    Webserver Pools/default 8793
    Webserver Triggerer 8794
"""
EDGES_LOCAL_3 = """
    ApiServer Database 5432
    ApiServer Scheduler 8793
    ApiServer Triggerer 8794
    Clients Web 80
    DagProcessor Database 5432
    Migration Database 5432
    Scheduler ApiServer 8081
    Scheduler Database 5432
    Triggerer Database 5432
    Web ApiServer 8080
"""
EDGES_LOCAL_2 = """
    Clients Web 80
    DagProcessor Database 5432
    Migration Database 5432
    Scheduler Database 5432
    Triggerer Database 5432
    Web Webserver 8080
    Webserver Database 5432
    Webserver Scheduler 8793
    Webserver Triggerer 8794
"""
EDGES_ECS_3 = """
    ApiServer Database 5432
    ApiServer Triggerer 8794
    Clients Web 80
    DagProcessor Database 5432
    Migration Database 5432
    Scheduler Database 5432
    Tasks/executor ApiServer 8081
    Triggerer Database 5432
    Web ApiServer 8080
"""
EDGES_ECS_2 = """
    Clients Web 80
    DagProcessor Database 5432
    Migration Database 5432
    Scheduler Database 5432
    Tasks/executor Database 5432
    Triggerer Database 5432
    Web Webserver 8080
    Webserver Database 5432
    Webserver Triggerer 8794
"""


def capabilities(found: ClusterPlan) -> dict[str, set[str]]:
    """Return each container's capabilities, derived from its environment and edges."""
    callers = {edge.source for edge in found.edges if edge.port == 8081}
    result = {}
    for component in found.components:
        for container in component.containers:
            environment = container.environment
            marks = {
                "database": "METADATA_PASSWORD" in environment,
                "fernet": "FERNET_SEED" in environment,
                "jwt": option(container, "api_auth", "jwt_secret") == SecretRef("Jwt"),
                "session": SecretRef("Session")
                in (option(container, "api", "secret_key"), option(container, "webserver", "secret_key")),
                "execution-api": component.name in callers,
                "broker": "BROKER_TOKEN" in environment,
                "dags": option(container, "core", "dags_folder") != NO_DAGS,
                "admin": SecretRef("Admin") in environment.values(),
            }
            result[container.name] = {name for name, has in marks.items() if has}
    return result


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize("executor", ["celery", "existing-redis", "local", "ecs"])
def test_each_container_has_the_capabilities_in_the_table(line, executor):
    """Capabilities equal the tables AIRFLOW_2 and AIRFLOW_3, with the changes for each executor."""
    table = dict(AIRFLOW_3 if line in THREE else AIRFLOW_2)
    if executor == "local":
        table |= LOCAL_3 if line in THREE else LOCAL_2
    if executor == "ecs":
        table |= ECS_3 if line in THREE else ECS_2
    assert capabilities(plan(line, executor)) == {name: set(marks.split()) for name, marks in table.items() if marks}


@pytest.mark.parametrize(
    ("release", "section"), [("2.11.2", "webserver"), ("3.0.0", "webserver"), ("3.0.1", "webserver"), ("3.0.2", "api")]
)
def test_the_session_secret_is_in_the_section_that_the_airflow_release_reads(release, section):
    """The session secret is in [webserver] before Airflow 3.0.2 and in [api] since."""
    web, worker = (
        containers(plan(version=AirflowVersion.of(release)))[name]
        for name in ("api-server" if release[0] == "3" else "webserver", "worker")
    )
    for container in (web, worker):
        found = {name: option(container, name, "secret_key") for name in ("api", "webserver")}
        assert {name for name, value in found.items() if value == SecretRef("Session")} == {section}


@pytest.mark.parametrize(("line", "executor"), ACCEPTED)
def test_a_container_has_only_the_secrets_that_its_capabilities_require(line, executor):
    """A container with the capability "broker", for example, has the broker's secret."""
    means = {
        "database": {SecretRef("Database", "username"), SecretRef("Database", "password")},
        "fernet": {SecretRef("Fernet")},
        "jwt": {SecretRef("Jwt")},
        "session": {SecretRef("Session")},
        "broker": {SecretRef("Broker", "token")},
        "admin": {SecretRef("Admin")},
    }
    found = plan(line, executor)
    rows = {**capabilities(found), "redis": {"broker"}}  # Redis in a container reads the token that its clients use
    for name, container in containers(found).items():
        held = {value for value in container.environment.values() if isinstance(value, SecretRef)}
        assert held == set().union(*(means.get(mark, set()) for mark in rows[name])), name


@pytest.mark.parametrize(
    ("lines", "executor", "table"),
    [
        (THREE, "celery", EDGES_3),
        (TWO, "celery", EDGES_2),
        (THREE, "local", EDGES_LOCAL_3),
        (TWO, "local", EDGES_LOCAL_2),
        (THREE, "ecs", EDGES_ECS_3),
        (TWO, "ecs", EDGES_ECS_2),
    ],
)
def test_each_release_has_exactly_the_edges_in_the_table(lines, executor, table):
    """Each Airflow release has exactly the permitted connections in the table."""
    expected = sorted(line.strip() for line in table.strip().splitlines())
    for line in lines:
        assert sorted(f"{e.source} {e.target} {e.port}" for e in plan(line, executor).edges) == expected


@pytest.mark.parametrize("line", VERSIONS)
def test_each_container_has_the_command_of_its_airflow_release(line):
    """The commands equal COMMANDS_2 and COMMANDS_3."""
    found = containers(plan(line, dags=ImageDags(), image=OWN_IMAGE))
    migrate = found.pop("migrate").command
    assert {name: " ".join(c.command) for name, c in found.items()} == (COMMANDS_3 if line in THREE else COMMANDS_2)
    assert migrate[:2] == ("python", "-c")


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize("executor", ["celery", "local"])
def test_every_service_has_a_cheap_health_check(line, executor):
    """No health check starts Airflow, which costs 5 s of CPU."""
    for component in services(plan(line, executor)):
        for container in component.containers:
            assert container.health_check is not None
            assert container.health_check.command[0] == "python3"
            assert "airflow" not in " ".join(container.health_check.command)
            assert container.health_check.timeout_seconds < container.health_check.interval_seconds


@pytest.mark.parametrize(
    ("line", "name", "words"),
    [
        ("3.3", "api-server", "http://127.0.0.1:8080/api/v2/version"),
        ("3.3", "execution-api", "http://127.0.0.1:8081/execution/health"),
        ("3.3", "scheduler", "'SchedulerJob'"),
        ("3.3", "dag-processor", "'DagProcessorJob'"),
        ("3.3", "triggerer", "'TriggererJob'"),
        ("3.3", "worker", "('127.0.0.1',8793)"),
        ("2.11", "webserver", "http://127.0.0.1:8080/health"),
        ("2.11", "scheduler", "'SchedulerJob'"),
    ],
)
def test_a_health_check_uses_the_address_or_database_row_of_its_process(line, name, words):
    """The command of the health check contains the local address or the job type of the process."""
    assert words in containers(plan(line))[name].health_check.command[-1]


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize("executor", ["celery", "local"])
def test_the_scheduler_starts_no_health_server(line, executor):
    """A health server would break the scheduler's TLS connection to the database."""
    scheduler = containers(plan(line, executor))["scheduler"]
    assert option(scheduler, "scheduler", "enable_health_check") == "False"
    assert "METADATA_HOST" in scheduler.health_check.command[-1]


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize(
    ("executor", "place"), [("celery", "Pools/default"), ("local", "Scheduler"), ("ecs", "Tasks/executor")]
)
def test_only_dag_processor_triggerer_and_task_runners_run_user_code(line, executor, place):
    """Only DAG processor, triggerer and task runners run user code."""
    runs = {part.name for part in plan(line, executor).components if part.runs_user_code}
    assert runs == {"DagProcessor", "Triggerer", place}


@pytest.mark.parametrize("line", VERSIONS)
def test_no_entry_point_waits_for_database_or_broker(line):
    """By waiting, the official entry point would put the broker's password on a command line."""
    for container in containers(plan(line)).values():
        assert container.environment["CONNECTION_CHECK_MAX_COUNT"] == "0"
        assert not [name for name in container.environment if name.startswith(("DB_", "BACKEND", "_AIRFLOW", "_PIP"))]


@pytest.mark.parametrize(
    ("text", "is_now"), [("2.8.1", "2.8.1"), ("3.3", str(AirflowVersion.V3_3)), ("3.3.99", "3.3.99")]
)
def test_a_release_line_selects_its_default_patch_release(text, is_now):
    """A release line such as 3.3 selects the default patch release of that line."""
    assert str(AirflowVersion.of(text)) == is_now


def test_a_later_minor_release_needs_its_patch_release():
    """The error for "3.4" suggests "3.4.0"."""
    with pytest.raises(ValueError, match=r'such as "3\.4\.0"'):
        AirflowVersion.of("3.4")


@pytest.mark.parametrize("text", ["2.7.3", "3.4", "4.0.0", "1.10.15"])
def test_the_error_for_an_unsupported_airflow_release_lists_all_supported(text):
    """The error lists the supported Airflow releases."""
    with pytest.raises(ValueError, match=r"2\.8, 2\.9, 2\.10, 2\.11, 3\.0, 3\.1"):
        AirflowVersion.of(text)


@pytest.mark.parametrize("text", ["3.4.0", "3.5.1", "3.12.0"])
def test_a_release_newer_than_all_known_is_planned_like_the_newest_known(text):
    """For an Airflow release newer than all known ones, a warning states that the release is unverified."""
    options = {"config": {"core": {"parallelism": 64}, "api": {"of_tomorrow": "x"}}}
    settings = settings_of(version=AirflowVersion.of(text), **options)
    assert [each.id for each in settings.advice if "unverified" in each.id] == ["cdk-airflow-ecs:unverified-release"]
    newest = AirflowVersion.LATEST
    assert "unverified" not in str(settings_of(version=newest, **options).advice)
    later = repr(plan(version=AirflowVersion.of(text), **options))
    assert text in later
    assert later.replace(text, str(newest)) == repr(plan(version=newest, **options))


@pytest.mark.parametrize("text", ["", "3", "latest", "3.3.x", "v3.3.2", 3.3, None])
def test_the_error_for_a_malformed_release_shows_an_example(text):
    """The error for a malformed Airflow release shows an example."""
    with pytest.raises(ValueError, match=r'release such as "3\.3\.2"'):
        AirflowVersion.of(text)


def test_airflow_version_constant_is_the_python_expression_for_the_version():
    """AirflowVersion.constant is, for example, "AirflowVersion.V2_10"."""
    assert AirflowVersion.V2_10.constant == "AirflowVersion.V2_10"
    assert AirflowVersion.of("2.10.1").constant == 'AirflowVersion.of("2.10.1")'
    assert AirflowVersion.LATEST == max(AirflowVersion.ALL) == AirflowVersion.V3_3
    assert list(AirflowVersion.ALL) == sorted(AirflowVersion.ALL)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("interval_seconds", 5, 300), ("timeout_seconds", 2, 120), ("retries", 1, 10), ("start_period_seconds", 0, 300)],
)
def test_health_check_values_must_be_within_the_limits_of_ecs(name, low, high):
    """The limits of ECS are, for example, 5 to 300 seconds for the interval."""
    for value in (low, high):
        assert getattr(HealthCheck(command=["true"], **{name: value}), name) == value
    for value in (low - 1, high + 1, "30", True, None):
        with pytest.raises(ValueError, match=f"HealthCheck {name} .*{low} to {high}.*got"):
            HealthCheck(command=["true"], **{name: value})


def test_an_unknown_capability_in_needs_of_a_process_is_rejected():
    """An unknown capability in ``Process(needs=...)`` raises an error."""
    with pytest.raises(ValueError, match=r"Process 'worker': needs .*dags, database, .*got 'dag'"):
        Process(name="worker", component="Pools/acme", command=("work",), needs=frozenset({"dag", "session"}))


class UnusualDatabase(RdsDatabase):
    """A database whose environment variables have unusual names."""

    def environment(self):
        """Return the host under an unusual name."""
        return {"ACME_HOST": Ref("Database", "host")}


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_edges_to_the_database_do_not_depend_on_variable_names(line):
    """A subclass of a database may rename the environment variables."""
    usual, unusual = (plan(line, database=database) for database in (RdsDatabase(), UnusualDatabase()))
    assert unusual.edges == usual.edges
    assert [edge.source for edge in usual.edges if edge.target == "Database"]


def test_options_that_only_an_unverified_release_may_have_give_one_note():
    """Airflow 3.4 added [api] regexp_query_timeout, which the options of 3.3 do not contain."""
    config = {"api": {"regexp_query_timeout": 5}, "core": {"paralelism": 64, "parallelism": 64}, "my_plugin": {"x": 1}}
    services = {"Scheduler": Service(environment={"AIRFLOW__CORE__PARALELISM": "32", "AIRFLOW__CORE__NEW": "1"})}

    def about(version):
        found = settings_of(version=version, config=config, services=services).advice
        return {each.id: each.text for each in found if "option" in each.id}

    ((identity, note),) = about(AirflowVersion.of("3.4.0")).items()
    assert identity == "cdk-airflow-ecs:unchecked-options"
    assert "3.4.0: [api] regexp_query_timeout, [core] paralelism, [core] new" in note
    assert "Airflow 3.3 has no option" not in note
    assert len(about(AirflowVersion.V3_3)) == 3
    assert not [each for each in settings_of(version=AirflowVersion.of("3.4.0")).advice if "option" in each.id]
