"""Secrets in plain text raise an error wherever they would be readable."""

from __future__ import annotations

import json

import pytest
from plans import OWN_IMAGE, VERSIONS, EcsSecret, containers, plan

from cdk_airflow_ecs import AirflowImage, CeleryExecutor, FireLens, HealthCheck, Service, Web, WorkerPool
from cdk_airflow_ecs.ecs_task import EcsTask
from cdk_airflow_ecs.testing import plan_of

LOGIN = "postgresql://me:hunter2@db/x"
CASES = {
    "a misspelt section": lambda: plan(config={"smpt": {"smtp_password": "hunter2"}}),
    "a plugin's section": lambda: plan(config={"my_plugin": {"api_key": "hunter2"}}),
    "a plugin's option, as a variable": lambda: plan(environment={"AIRFLOW__MY_PLUGIN__API_KEY": "hunter2"}),
    "a section that is passed on": lambda: plan(config={"elasticsearch_configs": {"api_key": "hunter2"}}),
    "Vault's secret_id": lambda: plan(
        config={"secrets": {"backend_kwargs": json.dumps({"url": "http://vault:8200", "secret_id": "hunter2"})}}
    ),
    "run_task_kwargs": lambda: plan(
        executor="ecs",
        config={
            "aws_ecs_executor": {
                "run_task_kwargs": '{"overrides": {"containerOverrides": [{"environment":'
                ' [{"name": "DB_PASSWORD", "value": "hunter2"}]}]}}'
            }
        },
    ),
    "a variable": lambda: plan(environment={"DB_PASS": "hunter2"}),
    "a variable that is a number": lambda: plan(environment={"DB_PASS": 12345}),
    "a variable of a service": lambda: plan(services={"Triggerer": Service(environment={"SSH_KEY": "hunter2"})}),
    "a variable of a pool": lambda: plan_of(
        version=VERSIONS["3.3"],
        executor=CeleryExecutor(pools=[WorkerPool("default", environment={"A": "ghp_hunter2"})]),
    ),
    "a variable of an ECS task": lambda: plan(ecs_tasks=(EcsTask(name="etl", environment={"GITHUB_PAT": "hunter2"}),)),
    "a command of an ECS task": lambda: EcsTask(name="etl", command=["etl", "--password", "hunter2"]),
    "an entry point of an ECS task": lambda: EcsTask(name="etl", entrypoint=["env", f"DB={LOGIN}"]),
    "a health check": lambda: HealthCheck(command=["curl", "-H", "Authorization: Bearer hunter2", "http://localhost"]),
    "an image's entry point": lambda: AirflowImage(entrypoint=["env", f"DB={LOGIN}"]),
    "FireLens": lambda: FireLens(options={"Name": "nrlogs", "license_key": "hunter2"}),
    "a header of FireLens": lambda: FireLens(options={"Name": "http", "Header": "Authorization Splunk hunter2"}),
    "the base URL": lambda: Web(base_url="https://me:hunter2@airflow.example.com"),
    "the base URL as an option": lambda: plan(config={"api": {"base_url": "https://me:hunter2@airflow.example.com"}}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_secret_in_plain_text_raises_an_error(case):
    """The error does not contain the secret."""
    with pytest.raises(ValueError, match=r"secret|login") as caught:
        CASES[case]()
    assert "hunter2" not in str(caught.value)
    assert "12345" not in str(caught.value)


def test_the_error_explains_how_to_pass_harmless_values():
    """The error suggests a plain SSM parameter for a value that is not secret."""
    with pytest.raises(ValueError, match=r"STRIPE_KEY looks like a secret \(by its name\) .*from_ssm_parameter"):
        plan(environment={"STRIPE_KEY": "public"})
    with pytest.raises(ValueError, match=r"\[acme\] public_token looks like a secret by its name.*from_ssm_parameter"):
        plan(config={"acme": {"public_token": "x"}})
    found = containers(plan(environment={"STRIPE_KEY": EcsSecret()}, config={"acme": {"public_token": EcsSecret()}}))
    assert {"STRIPE_KEY", "AIRFLOW__ACME__PUBLIC_TOKEN"} <= found["worker"].environment.keys()


def test_a_connection_without_a_password_may_be_plain_text():
    """A connection without a password may be text."""
    given = {"AIRFLOW_CONN_X": "http://example.com"}
    assert containers(plan(environment=given))["worker"].environment.items() >= given.items()


@pytest.mark.parametrize(
    "config",
    [
        {"celery": {"ssl_key": "/run/key.pem"}},
        {"fab": {"auth_rate_limit": "5 per 40 second"}},
        {"logging": {"min_length_masked_secret": "5"}},
        {"my_plugin": {"token_url": "https://example.com", "sort_key": "id", "max_tokens": 4096}},
    ],
)
def test_harmless_options_with_suspicious_names_are_accepted(config):
    """Harmless options with suspicious names are accepted."""
    assert plan(config=config, image=OWN_IMAGE)
