"""Environment variables that are Airflow options or secrets."""

from __future__ import annotations

import pytest
from plans import TEXT_TOKEN, VERSIONS, EcsSecret, containers, plan, settings_of

from cdk_airflow_ecs import Service
from cdk_airflow_ecs.ecs_task import EcsTask

SHOWN = {
    "FERNET_KEY": "hunter2",
    "SECRET_KEY": "hunter2",
    "AWS_SECRET_ACCESS_KEY": "hunter2",
    "KEY_PASSPHRASE": "hunter2",
    "SQLALCHEMY_DATABASE_URI": "postgresql+psycopg2://me:hunter2@db/x",
    "CACHE": "redis://:hunter2@cache:6379/0",
    "HTTPS_PROXY": "http://me:hunter2@proxy:3128",
}
# Names of files and fields, addresses without a password, and a URL that a shell composes in the container.
HARMLESS = {
    "GOOGLE_APPLICATION_CREDENTIALS": "/run/google.json",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "SORT_KEY": "id",
    "HTTPS_PROXY": "http://me@proxy:3128",
    "REPOSITORY": "ssh://git@github.com:acme/dags",
    "WAREHOUSE": "postgresql://${WAREHOUSE_USER}:${WAREHOUSE_PASSWORD}@db/x",
    "PARTS": '{"url": "http://a:8080", "mail": "me@example.com"}',
    "KNOWN_LATER": f"postgresql://me:{TEXT_TOKEN}@db/x",
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_variable_that_looks_like_a_secret_is_rejected(name):
    """A variable that looks like a secret must be an ecs.Secret; the error hides its value."""
    given = {name: SHOWN[name]}
    for arguments in (
        {"environment": given},
        {"services": {"Triggerer": Service(environment=given)}},
        {"ecs_tasks": (EcsTask(name="etl", environment=given),)},
    ):
        with pytest.raises(ValueError, match=f"{name} looks like a secret .* in plain text") as caught:
            plan(**arguments)
        assert "hunter2" not in str(caught.value)
    assert plan(environment={name: EcsSecret()})


def test_variables_that_only_resemble_secrets_are_accepted():
    """Variables that only resemble secrets are accepted."""
    assert containers(plan(environment=HARMLESS))["scheduler"].environment.items() >= HARMLESS.items()


@pytest.mark.parametrize(
    ("section", "option"),
    [
        ("celery", "celery_result_backend"),
        ("my_plugin", "url"),
        ("elasticsearch", "host"),
        ("team_a___smtp", "smtp_host"),
    ],
)
def test_an_option_with_a_login_in_its_url_is_rejected(section, option):
    """No option may hold a URL with a login."""
    value = "db+postgresql://me:hunter2@db/x"
    for arguments in (
        {"config": {section: {option: value}}},
        {"environment": {f"AIRFLOW__{section}__{option}".upper(): value}},
    ):
        with pytest.raises(ValueError, match=r"would be readable in the template; pass an ecs\.Secret") as caught:
            plan(**arguments)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["airflow__core__fernet_key", "Airflow__Core__Parallelism", "airflow_core__parallelism"]
)
def test_the_variable_of_an_option_must_be_in_upper_case(name):
    """Airflow ignores environment variables of options in lower case."""
    with pytest.raises(ValueError, match=f"{name} is not .* AIRFLOW__SECTION__OPTION"):
        plan(environment={name: "x"})


def test_a_variable_has_underscores_for_the_dots_of_a_section():
    """The variable of an option in [common.io] begins with AIRFLOW__COMMON_IO__."""
    given = {
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": "s3://bucket",
        "AIRFLOW__PROVIDERS_ODBC__ALLOW_DRIVER_IN_EXTRA": "True",
    }
    assert settings_of(version=VERSIONS["3.3"], environment=given).advice == ()
    assert containers(plan(environment=given))["worker"].environment.items() >= given.items()
    with pytest.raises(ValueError, match=r"\[common.io\] xcom_objectstorage_path is given twice"):
        plan(config={"common.io": {"xcom_objectstorage_path": "s3://other"}}, environment=given)


def test_options_of_one_airflow_team_are_checked_like_other_options():
    """Options of one team (``AIRFLOW__TEAM___…``) are checked like other options."""
    with pytest.raises(ValueError, match=r"\[core\] fernet_key is a secret"):
        plan(environment={"AIRFLOW__TEAM_A___CORE__FERNET_KEY": "x"})
    assert settings_of(version=VERSIONS["3.3"], environment={"AIRFLOW__TEAM_A___CORE__PARALLELISM": "4"}).advice == ()


def test_airflow_options_of_an_ecs_task_are_checked_like_those_of_services():
    """An ECS task may set Airflow options by environment variables."""
    with pytest.raises(ValueError, match=r"\[core\] fernet_key is a secret"):
        plan(ecs_tasks=(EcsTask(name="etl", environment={"AIRFLOW__CORE__FERNET_KEY": "x"}),))
    etl = EcsTask(name="etl", environment={"AIRFLOW__CORE__PARALELISM": "4"})
    (advice,) = settings_of(version=VERSIONS["3.3"], ecs_tasks=(etl,)).advice
    assert advice.id.startswith("cdk-airflow-ecs:unknown-option:")
