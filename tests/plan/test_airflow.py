"""What each release runs, and what each container is given: the tables of the design, literally."""

from __future__ import annotations

import pytest
from plans import ACCEPTED, OWN_IMAGE, VERSIONS, containers, option, plan, services, settings_of

from cdk_airflow_ecs import AirflowVersion, HealthCheck, ImageDags, RdsDatabase
from cdk_airflow_ecs.airflow import NO_DAGS
from cdk_airflow_ecs.plan import ClusterPlan, Ref, SecretRef
from cdk_airflow_ecs.process import Process

TWO = ["2.8", "2.9", "2.10", "2.11"]
THREE = ["3.0", "3.1", "3.2", "3.3"]

# Container: what it is given. "execution-api" is the way to it, "serves" the right to answer its clients.
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


def given(found: ClusterPlan) -> dict[str, set[str]]:
    """What each container of a plan can do, told from its environment and edges."""
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
def test_what_each_container_gets(line, executor):
    """The table "what each container gets" holds in every release, with workers and without."""
    table = dict(AIRFLOW_3 if line in THREE else AIRFLOW_2)
    if executor == "local":
        table |= LOCAL_3 if line in THREE else LOCAL_2
    if executor == "ecs":
        table |= ECS_3 if line in THREE else ECS_2
    assert given(plan(line, executor)) == {name: set(marks.split()) for name, marks in table.items() if marks}


@pytest.mark.parametrize(
    ("release", "section"), [("2.11.2", "webserver"), ("3.0.0", "webserver"), ("3.0.1", "webserver"), ("3.0.2", "api")]
)
def test_where_the_session_secret_is_read(release, section):
    """Airflow moved the option in 3.0.2; elsewhere it would be ignored, and each process would sign with another."""
    web, worker = (
        containers(plan(version=AirflowVersion.of(release)))[name]
        for name in ("api-server" if release[0] == "3" else "webserver", "worker")
    )
    for container in (web, worker):
        found = {name: option(container, name, "secret_key") for name in ("api", "webserver")}
        assert {name for name, value in found.items() if value == SecretRef("Session")} == {section}


@pytest.mark.parametrize(("line", "executor"), ACCEPTED)
def test_no_secret_beyond_the_table(line, executor):
    """A container holds the secrets that its row stands for, and none besides."""
    means = {
        "database": {SecretRef("Database", "username"), SecretRef("Database", "password")},
        "fernet": {SecretRef("Fernet")},
        "jwt": {SecretRef("Jwt")},
        "session": {SecretRef("Session")},
        "broker": {SecretRef("Broker", "token")},
        "admin": {SecretRef("Admin")},
    }
    found = plan(line, executor)
    rows = {**given(found), "redis": {"broker"}}  # a broker in a container knows its own
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
def test_who_talks_to_whom(lines, executor, table):
    """The edges of a release are these and no others."""
    expected = sorted(line.strip() for line in table.strip().splitlines())
    for line in lines:
        assert sorted(f"{e.source} {e.target} {e.port}" for e in plan(line, executor).edges) == expected


@pytest.mark.parametrize("line", VERSIONS)
def test_commands(line):
    """Each container starts with the command of its release, word for word."""
    found = containers(plan(line, dags=ImageDags(), image=OWN_IMAGE))
    migrate = found.pop("migrate").command
    assert {name: " ".join(c.command) for name, c in found.items()} == (COMMANDS_3 if line in THREE else COMMANDS_2)
    assert migrate[:2] == ("python", "-c")


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize("executor", ["celery", "local"])
def test_every_service_is_watched_cheaply(line, executor):
    """Each long-running container has a health check, and none of them starts Airflow, which costs 5 s of CPU."""
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
def test_what_a_health_check_asks(line, name, words):
    """Each check asks the process itself: its own address, port or row."""
    assert words in containers(plan(line))[name].health_check.command[-1]


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize("executor", ["celery", "local"])
def test_the_scheduler_forks_off_no_health_server(line, executor):
    """Airflow's own health server would share the scheduler's TLS connection to the database, and break it."""
    scheduler = containers(plan(line, executor))["scheduler"]
    assert option(scheduler, "scheduler", "enable_health_check") == "False"
    assert "METADATA_HOST" in scheduler.health_check.command[-1]


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize(
    ("executor", "place"), [("celery", "Pools/default"), ("local", "Scheduler"), ("ecs", "Tasks/executor")]
)
def test_who_runs_the_code_of_dag_authors(line, executor, place):
    """Grants to a cluster reach DAG processor and triggerer, and the place where tasks run."""
    runs = {part.name for part in plan(line, executor).components if part.runs_user_code}
    assert runs == {"DagProcessor", "Triggerer", place}


@pytest.mark.parametrize("line", VERSIONS)
def test_every_container_is_told_to_wait_for_nothing(line):
    """The official entry point would wait for stores by putting the broker's password on a command line."""
    for container in containers(plan(line)).values():
        assert container.environment["CONNECTION_CHECK_MAX_COUNT"] == "0"
        assert not [name for name in container.environment if name.startswith(("DB_", "BACKEND", "_AIRFLOW", "_PIP"))]


@pytest.mark.parametrize(
    ("text", "is_now"), [("2.8.1", "2.8.1"), ("3.3", str(AirflowVersion.V3_3)), ("3.3.99", "3.3.99")]
)
def test_a_release_by_name(text, is_now):
    """A full number names that release, a line the patch release that the library offers."""
    assert str(AirflowVersion.of(text)) == is_now


@pytest.mark.parametrize("text", ["2.7.3", "3.4", "4.0.0", "1.10.15"])
def test_a_release_out_of_range(text):
    """What is not supported is refused with the list of what is."""
    with pytest.raises(ValueError, match=r"2\.8, 2\.9, 2\.10, 2\.11, 3\.0, 3\.1"):
        AirflowVersion.of(text)


@pytest.mark.parametrize("text", ["3.4.0", "3.5.1", "3.12.0"])
def test_a_later_release(text):
    """It has the plan of the newest that is known, its options by the same names, and one warning."""
    options = {"config": {"core": {"parallelism": 64}, "api": {"of_tomorrow": "x"}}}
    settings = settings_of(version=AirflowVersion.of(text), **options)
    assert [each.id for each in settings.advice if "unverified" in each.id] == ["cdk-airflow-ecs:unverified-release"]
    newest = AirflowVersion.LATEST
    assert "unverified" not in str(settings_of(version=newest, **options).advice)
    later = repr(plan(version=AirflowVersion.of(text), **options))
    assert text in later
    assert later.replace(text, str(newest)) == repr(plan(version=newest, **options))


@pytest.mark.parametrize("text", ["", "3", "latest", "3.3.x", "v3.3.2", 3.3, None])
def test_what_is_no_release(text):
    """What does not even look like a release is refused with an example."""
    with pytest.raises(ValueError, match=r'release such as "3\.3\.2"'):
        AirflowVersion.of(text)


def test_versions_in_python():
    """A release tells how to write it, which the advice to pin it says."""
    assert AirflowVersion.V2_10.constant == "AirflowVersion.V2_10"
    assert AirflowVersion.of("2.10.1").constant == 'AirflowVersion.of("2.10.1")'
    assert AirflowVersion.LATEST == max(AirflowVersion.ALL) == AirflowVersion.V3_3
    assert list(AirflowVersion.ALL) == sorted(AirflowVersion.ALL)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("interval_seconds", 5, 300), ("timeout_seconds", 2, 120), ("retries", 1, 10), ("start_period_seconds", 0, 300)],
)
def test_limits_of_a_health_check(name, low, high):
    """ECS's limits are ours, both ends included."""
    for value in (low, high):
        assert getattr(HealthCheck(command=["true"], **{name: value}), name) == value
    for value in (low - 1, high + 1, "30", True, None):
        with pytest.raises(ValueError, match=f"HealthCheck {name} is an integer, {low} to {high}; got"):
            HealthCheck(command=["true"], **{name: value})


def test_a_need_is_spelled_right():
    """A typo in a need is refused when the process is made: a worker with it would get no DAGs."""
    with pytest.raises(ValueError, match="Process 'worker': 'dag' is not a need; accepted: dags, database, "):
        Process(name="worker", component="Pools/acme", command=("work",), needs=frozenset({"dag", "session"}))


class UnusualDatabase(RdsDatabase):
    """A database whose clients find it by variables of other names."""

    def environment(self):
        """Name the host otherwise."""
        return {"ACME_HOST": Ref("Database", "host")}


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_database_edges_follow_from_needs(line):
    """Whoever needs the database may reach it, whatever the variables that name its host."""
    usual, unusual = (plan(line, database=database) for database in (RdsDatabase(), UnusualDatabase()))
    assert unusual.edges == usual.edges
    assert [edge.source for edge in usual.edges if edge.target == "Database"]
