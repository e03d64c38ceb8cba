"""Defaults, the fields of Service, and conflicting options."""

from __future__ import annotations

import re

import pytest
from plans import (
    EXECUTORS,
    NUMBER_TOKEN,
    OWN_IMAGE,
    TEXT_TOKEN,
    VERSIONS,
    EcsSecret,
    containers,
    option,
    plan,
    services,
    settings_of,
)

from cdk_airflow_ecs import (
    AirflowImage,
    AirflowVersion,
    CeleryExecutor,
    Executor,
    ExecutorPlan,
    HealthCheck,
    ImageDags,
    LocalExecutor,
    S3Dags,
    Service,
    Web,
    WorkerPool,
)
from cdk_airflow_ecs.plan import SecretRef
from cdk_airflow_ecs.testing import plan_of

CORE = {"ApiServer": "api-server", "Scheduler": "scheduler", "DagProcessor": "dag-processor", "Triggerer": "triggerer"}
# A Service with the fields that an AWS Copilot manifest can set.
SEED = Service(
    cpu=512,
    memory_mib=1024,
    count=3,
    enable_exec=True,
    ephemeral_storage_gib=50,
    environment={"STAGE": "dev"},
    health_check=HealthCheck(command=["true"], interval_seconds=10, timeout_seconds=5, retries=2),
)


@pytest.mark.parametrize(
    ("executor", "sizes"),
    [
        ("celery", {"Scheduler": (1024, 2048), "Pools/default": (1024, 2048)}),
        ("local", {"Scheduler": (2048, 4096)}),
    ],
)
@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_by_default_each_component_has_one_task_of_a_measured_size(line, executor, sizes):
    """By default each component has one task of a measured size."""
    web = "ApiServer" if line == "3.3" else "Webserver"
    expected = {web: (1024, 2048), "DagProcessor": (512, 1024), "Triggerer": (512, 1024), **sizes}
    found = services(plan(line, executor))
    assert {part.name: (part.cpu, part.memory_mib) for part in found} == expected
    assert {part.count for part in found} == {1}
    assert {part.ephemeral_storage_gib for part in found} == {None}


@pytest.mark.parametrize("name", CORE)
@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_the_fields_of_a_service_change_only_its_component(line, name):
    """The fields of a Service change only its component."""
    before, after = plan(line), plan(line, services={name: SEED})
    place = "Webserver" if name == "ApiServer" and line == "2.11" else name
    changed = [part.name for part in after.components if part not in before.components]
    part = after.component(place)
    assert changed == [place]
    assert (part.cpu, part.memory_mib, part.count) == (512, 1024, 3)
    assert (part.enable_exec, part.ephemeral_storage_gib) == (True, 50)
    assert {container.environment["STAGE"] for container in part.containers} == {"dev"}
    assert part.containers[0].health_check == SEED.health_check
    assert [c.health_check for c in part.containers[1:]] == [
        c.health_check for c in before.component(place).containers[1:]
    ]


def test_a_worker_pool_has_the_fields_of_a_service():
    """A pool accepts each field of a Service."""
    pool = WorkerPool(
        "default",
        cpu=512,
        memory_mib=1024,
        count=3,
        enable_exec=True,
        ephemeral_storage_gib=50,
        environment=SEED.environment,
        health_check=SEED.health_check,
    )
    part = plan_of(executor=CeleryExecutor(pools=[pool])).component("Pools/default")
    (container,) = part.containers
    assert (part.cpu, part.memory_mib, part.count, part.enable_exec, part.ephemeral_storage_gib) == (
        512,
        1024,
        3,
        True,
        50,
    )
    assert container.environment["STAGE"] == "dev"
    assert container.health_check == SEED.health_check


def test_omitted_fields_of_a_service_keep_their_default():
    """A Service changes only the fields that it sets; a count of 0 is accepted."""
    part = plan(services={"Scheduler": Service(count=0)}).component("Scheduler")
    assert (part.count, part.cpu, part.memory_mib) == (0, 1024, 2048)


@pytest.mark.parametrize("line", ["2.11", "3.3"])
@pytest.mark.parametrize("executor", ["celery", "local"])
def test_maintenance_stops_every_service(line, executor):
    """With maintenance=True, only the migration runs."""
    sized = {"Scheduler": Service(count=2)}
    found = plan(line, executor, maintenance=True, services=sized)
    assert {part.count for part in services(found)} == {0}
    assert len(services(found)) == len(services(plan(line, executor)))
    assert found.component("Migration").kind == "one-shot task"
    advice = settings_of(version=VERSIONS[line], maintenance=True).advice
    assert [entry.id for entry in advice] == ["cdk-airflow-ecs:maintenance"]


@pytest.mark.parametrize(
    ("arguments", "shells"),
    [
        ({}, {"ApiServer"}),
        ({"enable_exec": True}, {"ApiServer", "Scheduler", "DagProcessor", "Triggerer", "Pools/default"}),
        ({"enable_exec": False}, set()),
        ({"web": Web(internet_facing=True, allow_insecure_http=True, allow_from=["10.0.0.0/8"])}, set()),
        ({"enable_exec": False, "services": {"Scheduler": Service(enable_exec=True)}}, {"Scheduler"}),
        ({"services": {"ApiServer": Service(enable_exec=False)}}, set()),
    ],
)
def test_only_an_internal_web_component_permits_shells_by_default(arguments, shells):
    """enable_exec= of the web component overrides this default."""
    assert {part.name for part in plan(**arguments).components if part.enable_exec} == shells


def test_a_missing_airflow_version_gives_a_warning():
    """Without version=, the newest Airflow release is used, with a warning."""
    settings = settings_of()
    assert settings.version == AirflowVersion.V3_3
    (advice,) = settings.advice
    assert advice.id == "cdk-airflow-ecs:version-not-pinned"
    assert "version=AirflowVersion.V3_3" in advice.text
    assert settings_of(version=AirflowVersion.V3_3).advice == ()


@pytest.mark.parametrize(
    "option_",
    [
        ("core", "load_examples", True),
        ("logging", "delete_local_logs", False),
        ("scheduler", "task_queued_timeout", 60),
        ("celery", "operation_timeout", 2),
        ("api", "workers", 4),
        ("execution_api", "jwt_expiration_time", 900),
        ("workers", "execution_api_retries", 5),
        ("workers", "execution_api_retry_wait_max", 90),
    ],
)
def test_config_and_environment_override_default_options(option_):
    """The new value reaches every container except the migration."""
    section, name, value = option_
    for arguments in (
        {"config": {section: {name: value}}},
        {"environment": {f"AIRFLOW__{section}__{name}".upper(): str(value)}},
    ):
        found = containers(plan(**arguments))
        del found["migrate"]
        assert {option(container, section, name) for container in found.values()} == {str(value)}


@pytest.mark.parametrize(
    ("release", "seconds"),
    [
        ("3.0.6", "86400"),
        ("3.1.8", "86400"),
        ("3.2.1", "86400"),
        ("3.2.2", "3600"),
        ("3.3.2", "3600"),
        ("3.4.0", "3600"),
    ],
)
def test_execution_api_tokens_last_a_day_before_airflow_3_2_2(release, seconds):
    """Before Airflow 3.2.2, the token of a task must not expire while the task is queued."""
    found = containers(plan_of(version=AirflowVersion.of(release)))
    del found["migrate"]
    assert {option(container, "execution_api", "jwt_expiration_time") for container in found.values()} == {seconds}
    assert int(seconds) * 0.2 > 240


@pytest.mark.parametrize("line", ["3.0", "3.3"])
def test_an_option_under_its_old_name_overrides_the_default(line):
    """The default is then not set, because Airflow reads an old name only if the new one is not set."""
    found = containers(plan(line, config={"webserver": {"workers": 4}}))
    del found["migrate"]
    found_options = {(option(c, "webserver", "workers"), option(c, "api", "workers")) for c in found.values()}
    assert found_options == {("4", None)}


def test_only_with_celery_the_scheduler_waits_ten_seconds_for_a_broker():
    """Without Celery, the scheduler has no such options."""
    for executor in EXECUTORS:
        found = containers(plan(executor=executor))
        expected = None if executor in ("local", "lambda", "ecs") else "10"
        assert option(found["scheduler"], "celery", "operation_timeout") == expected


@pytest.mark.parametrize("version", AirflowVersion.ALL, ids=str)
def test_tasks_retry_until_an_api_server_is_replaced(version):
    """Tasks of Airflow 3 retry the execution API for longer than Fargate needs to replace it."""
    found = containers(plan(version=version))
    del found["migrate"]
    for container in found.values():
        retries, longest = (
            option(container, "workers", name) for name in ("execution_api_retries", "execution_api_retry_wait_max")
        )
        if version.major < 3:
            assert retries is longest is None
            continue
        # tenacity's wait_random_exponential waits between 1 s and 2 ** n s, but never more than *longest*.
        waits = [(1 + min(2**n, float(longest))) / 2 for n in range(int(retries) - 1)]
        assert 180 < sum(waits) < 300


LOG_PORTS = [("logging", "worker_log_server_port", 9000), ("logging", "trigger_log_server_port", 9000)]
WEB_2 = [
    ("webserver", "web_server_port", 9090),
    ("webserver", "web_server_host", "127.0.0.1"),
    ("webserver", "web_server_ssl_cert", "/run/cert.pem"),
    ("webserver", "web_server_ssl_key", "/run/key.pem"),
]
# The cluster does not set these options, but its commands, ports and checks rely on them.
RELIED_UPON = [
    *[("3.3", *row) for row in LOG_PORTS],
    *[(line, *row) for line in ("2.8", "2.11") for row in (*LOG_PORTS, *WEB_2)],
    ("2.11", "celery", "worker_log_server_port", 9000),
    *[("3.0", *row) for row in WEB_2],
    ("3.3", "api", "port", 9090),
    ("3.3", "api", "host", "127.0.0.1"),
    ("3.3", "api", "ssl_cert", "/run/cert.pem"),
    ("3.3", "api", "ssl_key", "/run/key.pem"),
    ("3.3", "celery", "worker_autoscale", "16,8"),
    ("3.3", "database", "sql_alchemy_schema", "airflow"),
    ("3.3", "database", "sql_alchemy_conn_async", EcsSecret()),
    ("3.3", "triggerer", "queues_enabled", True),
    ("3.3", "dag_processor", "refresh_interval", 5),
    ("3.3", "scheduler", "dag_dir_list_interval", 5),
    *[(line, "scheduler", "scheduler_health_check_server_port", 9000) for line in ("2.8", "3.3")],
    ("3.3", "scheduler", "scheduler_health_check_server_host", "127.0.0.1"),
]


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("core", "executor", "SequentialExecutor"),
        ("core", "hostname_callable", "socket.gethostname"),
        ("core", "execution_api_server_url", "http://example.com"),
        ("core", "auth_manager", "my.AuthManager"),
        ("core", "fernet_key", EcsSecret()),
        ("database", "sql_alchemy_conn", EcsSecret()),
        ("celery", "broker_url", EcsSecret()),
        ("celery", "result_backend", EcsSecret()),
        ("celery", "worker_concurrency", 16),
        ("api", "secret_key", EcsSecret()),
        ("api_auth", "jwt_secret", EcsSecret()),
        ("logging", "remote_logging", False),
        ("logging", "remote_base_log_folder", "s3://b/logs"),
        ("scheduler", "enable_health_check", True),
        ("dag_processor", "dag_bundle_config_list", "[]"),
    ],
)
def test_changing_an_option_that_the_cluster_sets_is_rejected(section, name, value):
    """The error names both sources of the option."""
    with pytest.raises(ValueError, match=r"by (this cluster|the executor),? and .* by config=") as caught:
        plan(config={section: {name: value}})
    assert f"[{section}] {name}" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "section", "name", "value", "current"),
    [
        ("3.3", "webserver", "base_url", "https://a.example.com", "[api] base_url"),
        ("3.3", "webserver", "secret_key", EcsSecret(), "[api] secret_key"),
        ("3.3", "workers", "execution_api_server_url", "http://a.example.com", "[core] execution_api_server_url"),
        ("2.11", "core", "sql_alchemy_conn_cmd", "cat /run/url", "[database] sql_alchemy_conn_cmd"),
        ("2.11", "core", "sql_alchemy_conn", EcsSecret(), "[database] sql_alchemy_conn_cmd"),
        ("2.8", "core", "remote_logging", False, "[logging] remote_logging"),
    ],
)
def test_the_old_name_of_an_option_that_the_cluster_sets_is_rejected(line, section, name, value, current):
    """The error has the old and the new name."""
    web = Web(domain_name="airflow.example.com")
    for arguments in (
        {"config": {section: {name: value}}},
        {"environment": {f"AIRFLOW__{section}__{name}".upper(): value}},
    ):
        (source,) = arguments
        with pytest.raises(ValueError, match="one option; remove one of the two") as caught:
            plan(line, web=web, **arguments)
        assert f"{current} by this cluster, and [{section}] {name} by {source}=, are" in str(caught.value)


@pytest.mark.parametrize(("line", "section", "name", "value"), RELIED_UPON)
def test_changing_an_option_that_the_cluster_relies_on_is_rejected(line, section, name, value):
    """Changing an option that the cluster relies on raises an error."""
    services_ = {"DagProcessor": Service(environment={f"AIRFLOW__{section}__{name}".upper(): str(value)})}
    given = [
        ({"config": {section: {name: value}}}, "config="),
        ({"environment": {f"AIRFLOW__{section}__{name}".upper(): value}}, "environment="),
    ]
    if not isinstance(value, EcsSecret):
        given.append(({"services": services_}, "environment of DagProcessor"))
    for arguments, source in given:
        with pytest.raises(ValueError, match="by this cluster, wh") as caught:
            plan(line, **arguments)
        assert re.search(rf"\[{section}\] {name} .*by {source}", str(caught.value))


def test_an_option_that_the_cluster_relies_on_may_have_its_default():
    """Only a value other than the default is rejected."""
    assert plan(config={"api": {"port": 8080}, "logging": {"worker_log_server_port": 8793}, "celery": {}})


@pytest.mark.parametrize(
    ("section", "name"),
    [("scheduler", "scheduler_heartbeat_sec"), ("scheduler", "job_heartbeat_sec"), ("triggerer", "job_heartbeat_sec")],
)
def test_a_heartbeat_slower_than_the_health_check_is_rejected(section, name):
    """A heartbeat interval longer than the health check's two minutes raises an error."""
    for value in (120, "60.5", TEXT_TOKEN):
        assert plan(config={section: {name: value}})
    with pytest.raises(ValueError, match=rf"\[{section}\] {name} .*120, got 121 by config="):
        plan(config={section: {name: 121}})


def test_a_component_cannot_change_options_that_the_cluster_sets():
    """A component's environment= may not contain such options."""
    with pytest.raises(ValueError, match="by this cluster, and as 'X' by environment of Scheduler"):
        plan(services={"Scheduler": Service(environment={"AIRFLOW__CORE__EXECUTOR": "X"})})


def test_equal_option_values_from_two_sources_do_not_conflict():
    """Equal values from two sources are accepted."""
    given = {"core": {"executor": "CeleryExecutor"}}
    assert plan(config=given) == plan(config=given, environment={"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"}) == plan()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {
                "config": {"core": {"parallelism": 64}},
                "environment": {"AIRFLOW__CORE__PARALLELISM": "32"},
            },
            r"\[core\] parallelism is given twice: as '64' by config=, and as '32' by environment=",
        ),
        (
            {
                "config": {"core": {"parallelism": 64}},
                "services": {"Scheduler": Service(environment={"AIRFLOW__CORE__PARALLELISM": "32"})},
            },
            r"as '64' by config=, and as '32' by environment of Scheduler",
        ),
        (
            {"executor": LocalExecutor(parallelism=4), "config": {"core": {"parallelism": 64}}},
            r"as '4' by the executor, and as '64' by config=",
        ),
    ],
)
def test_the_error_for_an_option_with_two_values_has_both_sources(arguments, words):
    """config= is one source."""
    with pytest.raises(ValueError, match=words):
        plan_of(**{"executor": EXECUTORS["celery"], **arguments})


@pytest.mark.parametrize("name", ["METADATA_HOST", "FERNET_SEED", "BROKER_TOKEN", "CONNECTION_CHECK_MAX_COUNT"])
def test_environment_variables_that_the_cluster_sets_cannot_be_changed(name):
    """METADATA_HOST is an example of such an environment variable."""
    with pytest.raises(ValueError, match=f"sets {name} in .*, which this cluster sets itself"):
        plan(environment={name: EcsSecret()})
    with pytest.raises(ValueError, match=f"environment of Scheduler sets {name} in scheduler"):
        plan(services={"Scheduler": Service(environment={name: EcsSecret()})})


def test_environment_of_a_component_overrides_environment_of_the_cluster():
    """Both environment variables are set with environment=."""
    found = containers(
        plan(environment={"STAGE": "dev"}, services={"Scheduler": Service(environment={"STAGE": "special"})})
    )
    del found["migrate"]
    assert {name for name, c in found.items() if c.environment["STAGE"] == "special"} == {"scheduler"}
    assert {c.environment["STAGE"] for name, c in found.items() if name != "scheduler"} == {"dev"}


def test_numbers_and_booleans_in_options_become_text():
    """A token in an option is unchanged."""
    found = plan(
        config={"core": {"parallelism": 64}, "email": {"from_email": TEXT_TOKEN}},
        environment={"A": True, "B": 1.5, "C": TEXT_TOKEN, "D": ""},
    )
    worker = containers(found)["worker"]
    assert option(worker, "core", "parallelism") == "64"
    assert option(worker, "email", "from_email") == TEXT_TOKEN
    assert [worker.environment[name] for name in "ABCD"] == ["True", "1.5", TEXT_TOKEN, ""]


def test_plans_have_references_instead_of_secrets():
    """A plan contains no ecs.Secret object."""
    secret = EcsSecret()
    arguments = {
        "config": {"smtp": {"smtp_password": secret}},
        "environment": {"API_TOKEN": secret},
        "services": {"Scheduler": Service(environment={"OTHER": secret})},
    }
    settings = settings_of(version=AirflowVersion.V3_3, **arguments)
    assert settings.given_secrets == {
        "config=/smtp.smtp_password": secret,
        "environment=/API_TOKEN": secret,
        "Scheduler/OTHER": secret,
    }
    found = containers(plan(**arguments))
    assert option(found["worker"], "smtp", "smtp_password") == SecretRef("Given", "config=/smtp.smtp_password")
    assert found["worker"].environment["API_TOKEN"] == SecretRef("Given", "environment=/API_TOKEN")
    assert found["scheduler"].environment["OTHER"] == SecretRef("Given", "Scheduler/OTHER")
    assert "OTHER" not in found["worker"].environment


def test_cpu_memory_count_and_disk_may_be_tokens():
    """cpu, memory, count and disk may be tokens."""
    given = Service(cpu=NUMBER_TOKEN, memory_mib=NUMBER_TOKEN, count=NUMBER_TOKEN, ephemeral_storage_gib=NUMBER_TOKEN)
    part = plan(services={"Scheduler": given}).component("Scheduler")
    assert {part.cpu, part.memory_mib, part.count, part.ephemeral_storage_gib} == {NUMBER_TOKEN}


@pytest.mark.parametrize("line", VERSIONS)
def test_only_database_options_reach_the_migration_container(line):
    """A change of other options must not run the migration again."""
    changed = {"core": {"parallelism": 64}, "database": {"sql_alchemy_pool_size": 9}}
    migrate = containers(plan(line, config=changed))["migrate"]
    assert option(migrate, "database", "sql_alchemy_pool_size") == "9"
    assert option(migrate, "core", "parallelism") is None
    unchanged = plan(line, config={"core": {"parallelism": 64}}, environment={"A": "1"}, services={"Scheduler": SEED})
    assert unchanged.component("Migration") == plan(line).component("Migration")
    assert migrate.environment["AIRFLOW_ECS_VERSION"] == str(VERSIONS[line])


@pytest.mark.parametrize("wanted", [{"requirements": ("boto3",)}, {"image_files": {"own.py": ""}}])
def test_an_executor_with_packages_gives_a_warning_for_a_registry_image(wanted):
    """The warning lists the packages or modules."""

    class Own(Executor):
        def plan(self, context):
            return ExecutorPlan(class_path="own.Executor", **wanted)

    (advice,) = settings_of(version=AirflowVersion.V3_3, executor=Own(), image=OWN_IMAGE).advice
    assert advice.id == "cdk-airflow-ecs:image-requirements:airflow"
    assert f"must include {', '.join(*wanted.values())}," in advice.text
    assert settings_of(version=AirflowVersion.V3_3, executor=Own()).advice == ()


def test_each_unknown_option_has_its_own_warning():
    """Therefore warnings about options can be acknowledged separately."""
    config = {"core": {"paralelism": 64, "max_active_taks_per_dag": 5}}
    ids = [advice.id for advice in settings_of(version=AirflowVersion.V3_3, config=config).advice]
    assert ids == [f"cdk-airflow-ecs:unknown-option:core.{name}" for name in config["core"]]


def test_one_error_lists_all_rejected_options():
    """One error lists all wrong options."""
    wrong = {
        "core": {"executor": "LocalExecutor", "hostname_callable": "socket.gethostname"},
        "logging": {"remote_logging": False},
        "api": {"port": 9090},
    }
    with pytest.raises(ValueError, match="4 settings cannot be used:") as caught:
        plan(config=wrong)
    for section, names in wrong.items():
        for name in names:
            assert f"[{section}] {name}" in str(caught.value)
    with pytest.raises(
        ValueError, match=r"2 settings cannot be used:\n- \[sentry\] sentry_dsn .*\n- \[celery\] flower_basic_auth "
    ):
        plan(config={"sentry": {"sentry_dsn": "a"}, "celery": {"flower_basic_auth": "b:c"}})


def test_one_error_lists_secrets_and_contradictions():
    """An existing airflow.cfg as config= takes one error."""
    given = {
        "core": {"executor": "LocalExecutor", "fernet_key": "hunter2", "dags_folder": "/dags"},
        "database": {"sql_alchemy_conn": "postgresql://me:hunter2@db/x"},
        "logging": {"log_format": "%%(message)s", "remote_logging": False},
        "celery": {"extra_celery_config": '{"task_serializer": "pickle"}', "broker_url": "redis://:hunter2@cache"},
        "scheduler": {"scheduler_heartbeat_sec": 600},
    }
    with pytest.raises(ValueError, match="9 settings cannot be used:") as caught:
        plan(config=given)
    message = str(caught.value)
    assert "hunter2" not in message
    for section, names in given.items():
        for name in names:
            assert message.count(f"[{section}] {name}") == 1 or name == "extra_celery_config"
    assert message.count("pickle") == 1
    rest = {"core": {"load_examples": True}, "logging": {"log_format": "%(message)s"}}
    assert plan(config=rest).components


def test_one_error_lists_secrets_and_contradictions_of_an_image_directory(tmp_path):
    """The airflow.cfg of the directory takes one error too."""
    (tmp_path / "airflow.cfg").write_text(
        "[core]\nexecutor = LocalExecutor\nfernet_key = hunter2\n[logging]\nremote_logging = False\n"
        "[database]\nsql_alchemy_conn = postgresql://me:hunter2@db/x\n"
    )
    with pytest.raises(ValueError, match="4 settings cannot be used:") as caught:
        plan(image=AirflowImage.build(tmp_path))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("dags", [S3Dags(), S3Dags(provider_bundle=True)])
def test_config_must_not_set_the_dag_folder_that_s3_dags_sets(dags):
    """The error has no value of another component."""
    with pytest.raises(ValueError, match=r"\[core\] dags_folder by config=.*S3Dags sets it; remove it") as caught:
        plan(dags=dags, config={"core": {"dags_folder": "/opt/airflow/dags"}})
    assert "/nonexistent" not in str(caught.value)


def test_config_must_not_change_the_folder_of_image_dags():
    """config= may repeat the DAG folder, but not change it."""
    given = {"image": OWN_IMAGE, "dags": ImageDags()}
    assert plan(**given, config={"core": {"dags_folder": "/opt/airflow/dags"}}) == plan(**given)
    with pytest.raises(ValueError, match="as '/opt/airflow/dags' by this cluster, and as '/dags' by config="):
        plan(**given, config={"core": {"dags_folder": "/dags"}})


@pytest.mark.parametrize(
    ("section", "name", "instead"),
    [
        ("database", "sql_alchemy_conn", "use database=ExistingDatabase("),
        ("celery", "broker_url", "RedisBroker.existing("),
        ("celery", "result_backend", "RedisBroker.existing("),
        ("core", "fernet_key", "leave it out, the cluster generates one"),
        ("api", "secret_key", "leave it out, the cluster generates one"),
        ("api_auth", "jwt_secret", "leave it out, the cluster generates one"),
    ],
)
@pytest.mark.parametrize("value", ["hunter2-hunter2", EcsSecret()])
def test_the_error_for_an_option_suggests_the_argument_to_use_instead(section, name, value, instead):
    """The error suggests the argument that replaces the option."""
    with pytest.raises(ValueError, match=re.escape(instead)) as caught:
        plan(config={section: {name: value}})
    assert "pass an ecs.Secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"logging": {"log_format": "[%%(asctime)s] %%(message)s"}}, '[logging] log_format contains "%%"'),
        ({"core.default_task_retries": 3}, 'write config={"core": {"default_task_retries": ...}}'),
        ({"common.io": {"a": "1"}, "common_io": {"a": "2"}}, "[common_io] and [common.io] are the same section"),
        ({"fab": {"session_backend": "securecookie"}}, "whose workers hold the key of session cookies"),
        ({"fab": {"auth_role_public": "Admin"}}, "which requires users to sign in"),
        ({"fab": {"auth_rate_limited": False}}, "limits the attempts of each client"),
        ({"fab": {"proxy_fix_x_for": 5}}, "limits the attempts of each client"),
        ({"celery": {"extra_celery_config": '{"accept_content": ["json", "pickle"]}'}}, "lets workers accept pickle"),
    ],
)
def test_the_error_for_an_ignored_or_dangerous_option_has_the_reason(config, words):
    """The error for an ignored or dangerous option states the reason."""
    with pytest.raises(ValueError, match=re.escape(words)):
        plan(config=config)


def test_single_percent_signs_in_log_formats_are_accepted():
    """A doubled percent sign that is not part of a placeholder is accepted as well."""
    plan(config={"logging": {"log_format": "[%(asctime)s] %(message)s 100%%"}})


def test_an_option_section_may_be_written_with_dots_or_underscores():
    """The section is [common.io] in one case, and [common_io] in the other."""
    dotted, other = ({section: {"xcom_objectstorage_path": "s3://b/x"}} for section in ("common.io", "common_io"))
    assert plan(config=dotted) == plan(config=other)


@pytest.mark.parametrize("value", ["not json", '["a"]', "3"])
def test_run_task_kwargs_must_be_a_json_object(value):
    """run_task_kwargs must be a JSON object."""
    with pytest.raises(ValueError, match="run_task_kwargs by config= must be a JSON object such as"):
        plan(executor="ecs", config={"aws_ecs_executor": {"run_task_kwargs": value}})
    plan(executor="ecs", config={"aws_ecs_executor": {"run_task_kwargs": '{"enableExecuteCommand": true}'}})
