"""Variables: which are options of Airflow, and which would show a secret."""

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
# Names of files and of fields, addresses without a password, and one that only the container puts together.
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
def test_a_secret_by_name_or_by_value(name):
    """What a name or a login in a URL gives away is refused everywhere, and not repeated; as a secret it is welcome."""
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


def test_what_is_no_secret():
    """Nothing else is taken for one."""
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
def test_a_login_in_an_option(section, option):
    """Nor may an option hold one that Airflow does not call a secret, or does not know at all."""
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
def test_a_name_that_airflow_does_not_read(name):
    """Variables of options are in upper case: Airflow would not see another."""
    with pytest.raises(ValueError, match=f"{name} is no Airflow option; the form is AIRFLOW__SECTION__OPTION"):
        plan(environment={name: "x"})


def test_sections_with_dots():
    """A variable cannot have the dot of [common.io], which is that section all the same."""
    given = {
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": "s3://bucket",
        "AIRFLOW__PROVIDERS_ODBC__ALLOW_DRIVER_IN_EXTRA": "True",
    }
    assert settings_of(version=VERSIONS["3.3"], environment=given).advice == ()
    assert containers(plan(environment=given))["worker"].environment.items() >= given.items()
    with pytest.raises(ValueError, match=r"\[common.io\] xcom_objectstorage_path is given twice"):
        plan(config={"common.io": {"xcom_objectstorage_path": "s3://other"}}, environment=given)


def test_options_of_a_team():
    """The secret of a team is a secret."""
    with pytest.raises(ValueError, match=r"\[core\] fernet_key is a secret"):
        plan(environment={"AIRFLOW__TEAM_A___CORE__FERNET_KEY": "x"})
    assert settings_of(version=VERSIONS["3.3"], environment={"AIRFLOW__TEAM_A___CORE__PARALLELISM": "4"}).advice == ()


def test_options_of_ecs_tasks():
    """A container of yours that is told options of Airflow is told them like any other."""
    with pytest.raises(ValueError, match=r"\[core\] fernet_key is a secret"):
        plan(ecs_tasks=(EcsTask(name="etl", environment={"AIRFLOW__CORE__FERNET_KEY": "x"}),))
    etl = EcsTask(name="etl", environment={"AIRFLOW__CORE__PARALELISM": "4"})
    (advice,) = settings_of(version=VERSIONS["3.3"], ecs_tasks=(etl,)).advice
    assert advice.id.startswith("cdk-airflow-ecs:unknown-option:")
