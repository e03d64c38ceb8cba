"""Tokens that resolve to a secret raise an error in places where the secret would be plain text."""

from __future__ import annotations

import jsii
import pytest
from aws_cdk import App, CfnParameter, Fn, IStringProducer, Lazy, SecretValue, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk.assertions import Template

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowImage,
    AirflowVersion,
    CeleryExecutor,
    ExistingDatabase,
    FireLens,
    HealthCheck,
    RedisBroker,
    Service,
    Web,
    WorkerPool,
)

VERSION = AirflowVersion.V3_3
SECRETS = {
    "Secrets Manager": lambda stack: SecretValue.secrets_manager("x").unsafe_unwrap(),
    "SecureString": lambda stack: SecretValue.ssm_secure("/x", "1").unsafe_unwrap(),
    "a secret of the stack, in a URL": lambda stack: (
        f"redis://:{secretsmanager.Secret(stack, 'Mine').secret_value.unsafe_unwrap()}@cache"
    ),
    "a secret in Fn::Sub": lambda stack: Fn.sub("${x}", {"x": SecretValue.secrets_manager("x").unsafe_unwrap()}),
    "a parameter with NoEcho": lambda stack: CfnParameter(stack, "Password", no_echo=True).value_as_string,
}
PLACES = {
    "environment": lambda text: {"environment": {"SETTING": text}},
    "config": lambda text: {"config": {"my_plugin": {"url": text}}},
    "health check": lambda text: {"scheduler": Service(health_check=HealthCheck(command=["check", text]))},
    "log router": lambda text: {"log_router": FireLens(options={"Name": "http", "Header": text})},
}
ARGUMENTS = {
    "Web base_url": lambda text, _: {"web": Web(base_url=text)},
    "Web domain_name": lambda text, _: {"web": Web(domain_name=text)},
    "AirflowImage entrypoint": lambda text, _: {"image": AirflowImage(entrypoint=["/entrypoint", text])},
    "AirflowImage.registry name": lambda text, _: {"image": AirflowImage.registry(text)},
    "ExistingDatabase endpoint": lambda text, secret: {"database": ExistingDatabase(endpoint=text, secret=secret)},
    "ExistingDatabase database_name": lambda text, secret: {
        "database": ExistingDatabase(endpoint="db.example.com", secret=secret, database_name=text)
    },
    "RedisBroker.existing host": lambda text, secret: {
        "executor": CeleryExecutor(broker=RedisBroker.existing(text, auth_token=secret))
    },
    "AirflowImage.registry name of a pool": lambda text, _: {
        "executor": CeleryExecutor(pools=[WorkerPool("default", image=AirflowImage.registry(text))])
    },
}


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_arguments_that_become_plain_text_are_checked_for_secrets(argument):
    """Addresses, names and entry points are in plain text in the template."""
    stack = Stack(App(), "Data")
    given = ARGUMENTS[argument](SECRETS["Secrets Manager"](stack), secretsmanager.Secret(stack, "Login"))
    with pytest.raises(ValueError, match=f"{argument.removesuffix(' of a pool')} .*secret.*dynamic reference"):
        AirflowCluster(stack, "Airflow", version=VERSION, **given)
    assert stack.node.try_find_child("Airflow") is None


@pytest.mark.parametrize("kind", SECRETS)
def test_tokens_that_resolve_to_a_secret_are_rejected(kind):
    """Tokens that resolve to a secret are detected in every argument that becomes plain text."""
    stack = Stack(App(), "Data")
    value = SECRETS[kind](stack)
    with pytest.raises(ValueError, match=r"the variable DB_PASSWORD of ApiServer looks like a secret \(by (a|the) "):
        AirflowCluster(stack, "Airflow", version=VERSION, environment={"DB_PASSWORD": value})
    assert stack.node.try_find_child("Airflow") is None


@pytest.mark.parametrize("place", PLACES)
def test_variables_options_and_health_checks_are_checked_for_secrets(place):
    """Variables, options, health checks and log router options are checked for such tokens."""
    with pytest.raises(ValueError, match="looks like a secret"):
        AirflowCluster(
            Stack(App(), "Data"), "Airflow", version=VERSION, **PLACES[place](SECRETS["Secrets Manager"](None))
        )


def test_an_ecs_task_with_a_secret_in_its_command_or_image_is_rejected():
    """add_ecs_task raises the error and creates no task."""
    cluster = AirflowCluster(Stack(App(), "Data"), "Airflow", version=VERSION)
    image = ecs.ContainerImage.from_registry("python:3.13")
    with pytest.raises(ValueError, match="the command of Tasks/etl looks like a secret"):
        cluster.add_ecs_task("etl", image=image, command=["etl", SECRETS["SecureString"](None)])
    with pytest.raises(ValueError, match="add_ecs_task image contains a secret"):
        cluster.add_ecs_task("etl", image=SECRETS["SecureString"](None))
    assert cluster.add_ecs_task("etl", image=image).variable == "ecs_etl"


@jsii.implements(IStringProducer)
class Later:
    """A value that is available only during synthesis."""

    ready = False

    def produce(self, context):
        """Return the value."""
        if not self.ready:
            raise RuntimeError("too early")
        return "later"


def test_tokens_that_are_not_secrets_are_accepted():
    """ARNs, parameters, cross-stack references and lazy values are accepted."""
    app, later = App(), Later()
    stack, other = Stack(app, "Data"), Stack(app, "Other")
    AirflowCluster(
        stack,
        "Airflow",
        version=VERSION,
        image=AirflowImage.registry(f"ghcr.io/acme/airflow:{CfnParameter(stack, 'Tag').value_as_string}"),
        database=ExistingDatabase(
            endpoint=Fn.import_value("host"), secret=secretsmanager.Secret(stack, "Login"), database_name="airflow"
        ),
        environment={
            "SECRET": secretsmanager.Secret(other, "Secret").secret_arn,
            "STAGE": CfnParameter(stack, "Stage").value_as_string,
            "LATER": Lazy.uncached_string(later),
        },
    )
    later.ready = True
    assert "'Name': 'LATER', 'Value': 'later'" in str(Template.from_stack(stack).to_json())
