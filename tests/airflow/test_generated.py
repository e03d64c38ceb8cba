"""Airflow with exactly the planned commands, environment and health checks."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import shlex
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, unquote, urlsplit

import boto3
import pytest
from containers import REPOSITORY, Machine
from databases import HOSTILE, Databases
from hypothesis import given
from hypothesis import strategies as st

from cdk_airflow_ecs import AirflowVersion, CeleryExecutor, LocalExecutor, QueueScaling, S3Dags, WorkerPool
from cdk_airflow_ecs.plan import ClusterPlan, Container
from cdk_airflow_ecs.testing import plan_of
from ecs_agent import FakeAgent
from servers import RedisServer, free_port

ANSWER = "forty-two"
ADMIN_PASSWORD = "Adm1nAdm1nAdm1nAdm1nAdm1nAdm1n42"
RELEASES = (AirflowVersion.of("3.3.2"), AirflowVersion.of("2.11.2"))
POOLS = [WorkerPool("default", scaling=QueueScaling())]
EXECUTORS = {"celery": lambda: CeleryExecutor(pools=POOLS), "local": LocalExecutor}
HERE = Path(__file__).parent


@dataclass
class Servers:
    """The servers that replace AWS: PostgreSQL, Redis and S3."""

    postgres: Databases
    redis: RedisServer
    aws: str

    def s3(self) -> Any:
        """Return a client of the local S3."""
        login = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=self.aws, **login)


@dataclass
class Scenario:
    """A plan, and a machine with a migrated database on which the plan's containers run."""

    name: str
    version: AirflowVersion
    executor: str
    plan: ClusterPlan
    machine: Machine
    servers: Servers
    agent: FakeAgent

    @property
    def services(self) -> list[Container]:
        """Return the containers of all services."""
        return [c for component in self.plan.components if component.has_service for c in component.containers]

    @property
    def checked(self) -> list[Container]:
        """Return the containers with a health check."""
        return [container for container in self.services if container.health_check]

    def tasks(self) -> int:
        """Restart the container of the queue metric; return the number of queued and running tasks it publishes."""
        container = self.plan.component("Scheduler").containers[1]
        self.machine.stop(container)
        self.machine.start(container)
        line = eventually(lambda: re.search("{.*}", self.machine.log(container).read_text()), 60)[0]
        return int(json.loads(line)["QueuedOrRunningTasks"])

    def upload_dag(self) -> None:
        """Upload the DAG file to the bucket."""
        bucket = self.machine.attributes["Dags", "bucket_name"]
        self.servers.s3().put_object(Bucket=bucket, Key="dags.py", Body=(HERE / "dags.py").read_bytes())


@pytest.fixture(scope="module")
def servers(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Start PostgreSQL and Redis with TLS and passwords, and S3."""
    port = free_port()
    moto = REPOSITORY / ".venvs/local/bin/moto_server"
    log = (tmp_path_factory.mktemp("s3") / "log").open("w")
    with (
        log,
        RedisServer() as redis,
        subprocess.Popen([moto, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log) as process,
    ):
        try:
            eventually(lambda: listens(port), 120)
            yield Servers(postgres, redis, f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def with_executors(pairs: list[tuple[AirflowVersion, str]]) -> pytest.MarkDecorator:
    """Parametrize a test with releases and executors."""
    return pytest.mark.parametrize("scenario", pairs, indirect=True, scope="module", ids=lambda p: f"{p[0]}-{p[1]}")


PAIRS = [(version, name) for name in EXECUTORS for version in RELEASES]
EVERY, CELERY = with_executors(PAIRS), with_executors(PAIRS[:2])
# All pairs except Airflow 2 with LocalExecutor, which `make e2e` runs from a template.
CELERY_AND_NEWEST = with_executors(PAIRS[:3])


@pytest.fixture(scope="module")
def scenario(request, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Prepare a plan on this machine and run only its migration."""
    version, executor = request.param
    name = f"af_{executor}_{version}".replace(".", "_")
    servers.redis.command("FLUSHALL")
    bucket = f"{name}-dags".replace("_", "-")
    for each in (bucket, "logs"):
        servers.s3().create_bucket(Bucket=each)
    attributes = {
        ("Database", "host"): servers.postgres.host,
        ("Database", "port"): str(servers.postgres.port),
        ("Database", "name"): name,
        ("Broker", "host"): servers.redis.host,
        ("Broker", "port"): str(servers.redis.port),
        ("Web", "url"): "http://localhost:8080",
        ("Web", "proxies"): "127.0.0.1",
        ("ExecutionApi", "url"): "http://localhost:8081/execution/",
        ("Logs", "uri"): f"s3://logs/{name}",
        ("Dags", "uri"): f"s3://{bucket}",
        ("Dags", "bucket_name"): bucket,
        ("Stack", "region"): "us-east-1",
        ("Cluster", "name"): "airflow",
    }
    secrets = {
        ("Database", "username"): "af",
        ("Database", "password"): HOSTILE,
        ("Broker", "token"): servers.redis.token,
        ("Fernet", ""): "F3rnet7" * 6 + "x",
        ("Jwt", ""): "jwt0" * 16,
        ("Session", ""): "session0" * 8,
        ("Admin", ""): ADMIN_PASSWORD,
    }
    substitutes = {
        "AWS_ENDPOINT_URL": servers.aws,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "SSL_CERT_FILE": str(servers.redis.ca_certificate),
    }
    plan = plan_of(version=version, executor=EXECUTORS[executor](), dags=S3Dags(refresh_seconds=5))
    programs = REPOSITORY / f".venvs/airflow-{version}/bin"
    folder = tmp_path_factory.mktemp(name)
    with FakeAgent() as agent:
        substitutes |= agent.environment
        with Machine(programs, folder, attributes, secrets, substitutes) as machine:
            servers.postgres.migrated(name, version, plan, machine)
            yield Scenario(name, version, executor, plan, machine, servers, agent)


@pytest.fixture(scope="module")
def running(scenario: Scenario) -> Scenario:
    """Start every service and wait until all are healthy."""
    for container in scenario.services:
        scenario.machine.start(container)
    scenario.machine.wait_until_healthy(scenario.checked)
    return scenario


def option_of(variable: str) -> tuple[str, str]:
    """Split AIRFLOW__SECTION__OPTION; option names contain no ``__``."""
    section, option = variable.removeprefix("AIRFLOW__").lower().split("__", 1)
    return section, option


@pytest.mark.airflow
@pytest.mark.xdist_group("airflow")
@EVERY
def test_airflow_reads_the_planned_options(scenario: Scenario):
    """In each container, Airflow reads each planned option, and connects to the stores with the exact passwords."""
    machine = scenario.machine
    containers = [*scenario.services, *scenario.plan.component("Migration").containers]
    if scenario.executor == "local":  # compare only the scheduler, because the others are equal
        containers = [*scenario.plan.component("Scheduler").containers]
    for container in containers:
        environment = machine.environment(container)
        planned = {option_of(name): value for name, value in environment.items() if name.startswith("AIRFLOW__")}
        commands = {option for option in planned if option[1].endswith("_cmd")}
        options = [(section, name.removesuffix("_cmd")) for section, name in planned]
        ran = machine.run(container, ["python", str(HERE / "probe.py"), json.dumps(options)])
        assert ran.returncode == 0, f"{container.name}:\n{ran.stderr[-3000:]}"
        found = json.loads(ran.stdout.splitlines()[-1])
        for (option, value), actual in zip(planned.items(), found["options"], strict=True):
            if option in commands:
                assert actual, (container.name, option)
                # If a command fails, Airflow may silently use the default, so run the command separately too.
                assert machine.run(container, shlex.split(value)).stdout == actual, (container.name, option)
            else:
                assert actual == value, (container.name, option)
        if "METADATA_HOST" in environment:
            database = found["database"]
            assert database.pop("user") == environment["METADATA_USER"]
            assert database.pop("password") == HOSTILE
            assert set(database.values()) == {True}
        if "BROKER_HOST" in environment:
            celery = found["celery"]
            broker, results = celery["broker"], celery["result_backend"]
            assert broker["password"] == results["password"] == scenario.servers.redis.token
            assert broker["transport"] == results["transport"] == "rediss"
            assert (broker["virtual_host"], results["virtual_host"]) == ("0", "1")
            assert celery["result_backend_answers"] is True
            assert celery["options"]["socket_keepalive"] is True


@pytest.mark.airflow
@pytest.mark.xdist_group("airflow")
@CELERY
def test_health_checks_fail_before_their_container_starts(scenario: Scenario):
    """Each health check fails before its container has started."""
    assert [c.name for c in scenario.checked if scenario.machine.is_healthy(c)] == []


@pytest.mark.airflow
@pytest.mark.xdist_group("airflow")
@CELERY
def test_the_airflow_cli_prints_the_same_option_value_as_probe_py(scenario: Scenario):
    """``airflow config get-value`` prints the same value as probe.py."""
    scheduler = scenario.plan.component("Scheduler").containers[0]
    command = ["airflow", "config", "get-value", "database", "sql_alchemy_conn"]
    printed = scenario.machine.run(scheduler, command).stdout.splitlines()[-1]
    assert unquote(urlsplit(printed).password or "") == HOSTILE


@pytest.mark.airflow
@pytest.mark.xdist_group("airflow")
@CELERY_AND_NEWEST
def test_a_dag_runs_on_the_planned_containers(running: Scenario):
    """A DAG in a new cluster defers, reads a variable and succeeds; its log is readable while it runs."""
    api = Api(running.version.major)
    running.upload_dag()
    eventually(lambda: api.call("dags/conversation")[0] == 200, 300)
    assert running.agent.bodies == []
    status, made = api.call("dags/conversation/dagRuns", {"logical_date": None} if api.major >= 3 else {})
    assert status == 200, made
    run = f"dags/conversation/dagRuns/{json.loads(made)['dag_run_id']}"
    talk = f"{run}/taskInstances/talk"
    # The API reads a running task's log from the worker, and a finished one's from S3.
    live = eventually(lambda: match("the question 4711", api.call(f"{talk}/logs/1")[1]), 300)
    assert match('"state": ?"running"', api.call(talk)[1]), live
    if running.executor == "celery":
        running.agent.wait_for(True)
        assert running.tasks() == 1
    status, made = api.call("variables", {"key": "answer", "value": ANSWER})
    assert status in (200, 201), made
    state = eventually(lambda: re.search(r'"state": ?"(success|failed)"', api.call(run)[1]), 300)[1]
    log = eventually(lambda: match(f"the answer {ANSWER}", api.call(f"{talk}/logs/1")[1]), 180)
    assert state == "success", log
    # Airflow uploads the log to S3 seconds after the task has succeeded.
    eventually(lambda: match("back from the triggerer", api.call(f"{run}/taskInstances/defer/logs/1")[1]), 180)
    stored = running.servers.postgres.execute("SELECT val FROM variable", running.name)
    assert ANSWER not in stored, "the variable is not encrypted"


@pytest.mark.airflow
@pytest.mark.xdist_group("airflow")
@CELERY
def test_ui_and_execution_api_have_separate_ports(running: Scenario):
    """The UI and the execution API are served only on their own ports."""
    if running.version.major == 2:
        assert "execution-api" not in [container.name for container in running.services]
        return
    assert send("http://127.0.0.1:8081/execution/health")[0] == 200
    assert send("http://127.0.0.1:8081/api/v2/version")[0] == 404
    assert send("http://127.0.0.1:8081/auth/token", b"{}")[0] == 404
    assert "healthy" not in send("http://127.0.0.1:8080/execution/health")[1]
    assert send("http://127.0.0.1:8080/execution/task-instances/x/run", b"{}")[0] == 405


@pytest.mark.airflow
@pytest.mark.xdist_group("airflow")
@CELERY
def test_the_sign_in_works_through_a_tunnel(running: Scenario):
    """The sign-in page redirects to the requested host, so that it works through a tunnel."""
    path = "/" if running.version.major == 2 else "/api/v2/auth/login"
    with urllib.request.urlopen(f"http://127.0.0.1:8080{path}", timeout=30) as answer:
        assert urlsplit(answer.url).netloc == "127.0.0.1:8080"
        assert 'name="password"' in answer.read().decode()


@pytest.mark.airflow
@pytest.mark.xdist_group("airflow")
@CELERY
def test_no_secret_is_in_the_output_or_arguments_of_a_container(running: Scenario):
    """Neither the containers' output nor their processes' arguments contain a secret."""
    machine = running.machine
    secrets = {value for name, value in machine.secrets.items() if name != ("Database", "username")}
    secrets |= {quote(value, safe="") for value in secrets}
    for container in running.services:
        text = machine.log(container).read_text() + "\n".join(machine.arguments(container))
        assert text
        assert not [secret for secret in secrets if secret in text], container.name


@pytest.mark.airflow
@pytest.mark.xdist_group("airflow")
@CELERY
def test_an_idle_worker_is_not_protected_from_scale_in(running: Scenario):
    """After the DAG run, the worker's protection from scale-in ends, because no task runs."""
    running.agent.wait_for(True, False, seconds=60)
    assert "protection:" not in running.machine.log(running.plan.component("Pools/default").containers[0]).read_text()


@pytest.mark.airflow
@pytest.mark.xdist_group("airflow")
@CELERY
def test_a_health_check_fails_after_the_airflow_process_has_stopped(running: Scenario):
    """A health check that reads the heartbeat of an Airflow process fails after the process has stopped."""
    running.machine.wait_until_healthy(running.checked)
    for name in ("DagProcessor", "Triggerer"):
        (container,) = running.plan.component(name).containers
        running.machine.stop(container)
        assert not running.machine.is_healthy(container), name


class Api:
    """A client of Airflow's public API, signed in as the generated admin."""

    def __init__(self, major: int) -> None:
        self.major = major
        if major == 2:
            token = base64.b64encode(f"admin:{ADMIN_PASSWORD}".encode()).decode()
            self._login = f"Basic {token}"
        else:
            login = json.dumps({"username": "admin", "password": ADMIN_PASSWORD}).encode()
            status, answer = send("http://127.0.0.1:8080/auth/token", login)
            assert status == 201, answer
            self._login = f"Bearer {json.loads(answer)['access_token']}"

    def call(self, path: str, body: dict | None = None) -> tuple[int, str]:
        """Send a GET, or a POST with *body*."""
        url = f"http://127.0.0.1:8080/api/v{1 if self.major == 2 else 2}/{path}"
        return send(url, None if body is None else json.dumps(body).encode(), Authorization=self._login)


def send(url: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    """Send a request; return status and text."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def match(pattern: str, text: str) -> str | None:
    """Return *text* if it contains a match of *pattern*, else None."""
    return text if re.search(pattern, text) else None


def listens(port: int) -> bool:
    """Return whether a server accepts connections on *port*."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def eventually(condition, seconds: float):
    """Call the function until it returns a true value, and return that value."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"not true after {seconds} s"
        time.sleep(1)
    return answer


def output_of(command: str, environment: dict[str, str]) -> str:
    """Return the output of a generated ``python3 -c`` command without starting a process."""
    words = shlex.split(command)
    assert words[:2] == ["python3", "-ISc"]
    with (
        patch.dict(os.environ, environment, clear=True),
        contextlib.redirect_stdout(io.StringIO()) as printed,
    ):
        exec(words[2], {})
    return printed.getvalue()


@cache
def scheduler_environment() -> Mapping[str, object]:
    """Return the scheduler's environment in the default plan."""
    return plan_of(version=RELEASES[0]).component("Scheduler").containers[0].environment


# Passwords contain no NUL, because environment variables cannot.
PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=64)


@given(user=PASSWORDS, password=PASSWORDS)
def test_the_database_url_encodes_any_password(user: str, password: str):
    """Any user and password can be decoded exactly from the database URL."""
    environment = scheduler_environment()
    server = {"METADATA_HOST": "db.example.com", "METADATA_PORT": "5432", "METADATA_NAME": "airflow"}
    login = {"METADATA_USER": user, "METADATA_PASSWORD": password}
    url = urlsplit(output_of(str(environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD"]), server | login))
    assert (url.scheme, url.hostname, url.port, url.path) == (
        "postgresql+psycopg2",
        "db.example.com",
        5432,
        "/airflow",
    )
    assert (unquote(url.username or ""), unquote(url.password or ""), url.query) == (user, password, "")


@given(token=PASSWORDS)
def test_the_broker_urls_encode_any_token(token: str):
    """The URLs of broker and results encode any token exactly and differ only in the database number."""
    environment = scheduler_environment()
    variables = {"BROKER_HOST": "cache.example.com", "BROKER_PORT": "6379", "BROKER_TOKEN": token}
    urls = [
        urlsplit(output_of(str(environment[f"AIRFLOW__CELERY__{name}_CMD"]), variables))
        for name in ("BROKER_URL", "RESULT_BACKEND")
    ]
    assert [url.path for url in urls] == ["/0", "/1"]
    for url in urls:
        assert (url.scheme, url.hostname, url.port) == ("rediss", "cache.example.com", 6379)
        assert (unquote(url.password or ""), url.query) == (token, "ssl_cert_reqs=required")


@given(seed=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", min_size=43, max_size=43))
def test_any_generated_seed_becomes_a_fernet_key(seed: str):
    """Every seed of 43 letters and digits becomes a Fernet key of 32 bytes."""
    environment = scheduler_environment()
    key = output_of(str(environment["AIRFLOW__CORE__FERNET_KEY_CMD"]), {"FERNET_SEED": seed})
    assert len(base64.urlsafe_b64decode(key)) == 32
