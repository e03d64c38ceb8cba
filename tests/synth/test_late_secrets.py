"""Tokens that resolve to a secret raise an error in places where the secret would be plain text."""

from __future__ import annotations

import jsii
import pytest
from aws_cdk import App, CfnParameter, Fn, IStringProducer, Lazy, SecretValue, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk.assertions import Template

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, FireLens, HealthCheck, Service

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


def test_an_ecs_task_with_a_secret_in_its_command_is_rejected():
    """add_ecs_task raises the error and creates no task."""
    cluster = AirflowCluster(Stack(App(), "Data"), "Airflow", version=VERSION)
    image = ecs.ContainerImage.from_registry("python:3.13")
    with pytest.raises(ValueError, match="the command of Tasks/etl looks like a secret"):
        cluster.add_ecs_task("etl", image=image, command=["etl", SECRETS["SecureString"](None)])
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
        environment={
            "SECRET": secretsmanager.Secret(other, "Secret").secret_arn,
            "STAGE": CfnParameter(stack, "Stage").value_as_string,
            "LATER": Lazy.uncached_string(later),
        },
    )
    later.ready = True
    assert "'Name': 'LATER', 'Value': 'later'" in str(Template.from_stack(stack).to_json())
