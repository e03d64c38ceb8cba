"""No error of the public API repeats a secret."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck as Check
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import EXISTING, SECRET, VERSIONS

import cdk_airflow_ecs
from cdk_airflow_ecs import (
    AirflowImage,
    AirflowVersion,
    ExistingDatabase,
    FireLens,
    RedisBroker,
    Service,
    Web,
)
from cdk_airflow_ecs.cluster_arguments import ClusterArguments
from cdk_airflow_ecs.ecs_task import EcsTask
from cdk_airflow_ecs.option_merging import merge
from cdk_airflow_ecs.testing import plan_of

WORD = "hunter2"


class Login:
    """An object whose representation contains its password."""

    def __repr__(self) -> str:
        return f"Login(password='{WORD}')"


# Texts whose form shows that they contain a secret, under any name.
TEXTS = st.sampled_from(
    [
        f"rediss://:{WORD}@h",
        f"https://me:{WORD}@example.com/x",
        f"me:{WORD}@example.com",
        f":{WORD}@h",
        f"Bearer {WORD}",
        f"Server=db;Password={WORD};",
        f'{{"password": "{WORD}"}}',
        f"-----BEGIN PRIVATE KEY-----\n{WORD}",
    ]
)
# Errors hide bytes, objects and values under the name of a secret. Errors repeat a short text passed directly as
# an argument or in a list, such as 'vpc-0abc' passed instead of a VPC.
PARTS = st.one_of(TEXTS, st.just(WORD))
SHAPES = st.recursive(
    st.one_of(PARTS.map(str.encode), st.builds(Login), PARTS.map(lambda text: ("DB_PASSWORD", text))),
    lambda inner: st.one_of(
        st.lists(st.one_of(inner, TEXTS), min_size=1, max_size=2),
        st.lists(st.one_of(inner, TEXTS), min_size=1, max_size=2).map(tuple),
        st.dictionaries(st.just("DB_PASSWORD"), st.one_of(inner, PARTS), min_size=1),
    ),
    max_leaves=4,
)
NEEDED: Mapping[str, Any] = {
    "name": "etl",
    "host": "redis.example.com",
    "auth_token": SECRET,
    "options": {"Name": "null"},
    "actions": ("s3:GetObject",),
    "resources": ("arn:aws:s3:::b/x",),
    "command": ("true",),
    "executors": [cdk_airflow_ecs.LocalExecutor()],
    "tag": "1",
    "version": VERSIONS["3.3"],
}
# For these arguments errors repeat texts in lists, unless their form is that of a secret.
TEXT_LISTS = {"allow_from", "queues", "command", "entrypoint"}
# These classes accept any argument without a check.
CONTRACTS = {
    "LocalLogs",
    "Executor",
    "ExecutorContext",
    "ExecutorPlan",
    "Workers",
    "EcsTaskHandle",
    "AirflowCluster",
    "Permission",
    "Capacity",
    "Scaling",
    "ExternalScaling",
}
CALLS: dict[str, Callable[..., Any]] = {
    **{name: getattr(cdk_airflow_ecs, name) for name in cdk_airflow_ecs.__all__ if name not in CONTRACTS},
    "AirflowVersion": AirflowVersion.of,
    "AirflowImage.build": AirflowImage.build,
    "AirflowImage.ecr": AirflowImage.ecr,
    "AirflowImage.registry": AirflowImage.registry,
    "RedisBroker.existing": RedisBroker.existing,
    "RedisBroker.container": RedisBroker.container,
    "add_ecs_task": EcsTask,
    "AirflowCluster": plan_of,
}


def arguments_of(call: Callable[..., Any]) -> list[str]:
    """Return the names of a function's arguments."""
    source = ClusterArguments if call is plan_of else call
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, parameter in inspect.signature(source).parameters.items() if parameter.kind in kinds]


def error_of(call: Callable[..., Any], **arguments: Any) -> str:
    """Return the error of a call with all its causes, or empty text."""
    try:
        call(**arguments)
    except Exception as error:
        return "".join(traceback.format_exception(error))
    return ""


@pytest.mark.parametrize("name", CALLS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[Check.too_slow])
def test_no_error_of_the_public_api_repeats_a_secret(name, data):
    """The secrets are passed in pairs, bytes, tuples, mappings and objects."""
    call = CALLS[name]
    argument = data.draw(st.sampled_from(arguments_of(call)))
    needed = {
        other: NEEDED[other]
        for other, parameter in inspect.signature(call).parameters.items()
        if parameter.default is inspect.Parameter.empty and other in NEEDED
    }
    if call is plan_of:
        needed = {"version": VERSIONS["3.3"], "database": EXISTING}
    given_value = data.draw(st.one_of(TEXTS, st.lists(TEXTS) if argument in TEXT_LISTS else SHAPES))
    assert WORD not in error_of(call, **{**needed, argument: given_value})


@pytest.mark.parametrize(
    "arguments",
    [
        {"environment": [("DB_PASSWORD", WORD)]},
        {"environment": {"DB_PASSWORD": WORD}},
        {"environment": {"DB_PASSWORD": WORD.encode()}},
        {"environment": {"DB_PASSWORD": (WORD,)}},
        {"environment": {"DB_PASSWORD": {"value": WORD}}},
        {"environment": {("DB_PASSWORD", WORD): "x"}},
        {"environment": {f"DB_PASSWORD={WORD}": "x"}},
        {"environment": {f"DB_PASSWORD: {WORD}": "x"}},
        {"environment": WORD},
        {"services": {"Scheduler": Service(environment=WORD)}},
        {"config": WORD},
        {"config": {"smtp": {"smtp_user": WORD}}, "environment": {"AIRFLOW__SMTP__SMTP_USER": "other"}},
        {"config": {"smtp": {f"smtp_password={WORD}": "x"}}},
        {"config": [("smtp", WORD)]},
        {"config": {"smtp": [("smtp_password", WORD)]}},
        {"config": {"smtp": WORD}},
        {"config": {"my_plugin": {"url": WORD}}, "environment": {"AIRFLOW__MY_PLUGIN__URL": "other"}},
        {"config": {"core": {"fernet_key_cmd": f"echo {WORD}"}}},
        {"web": {"certificate": WORD}},
    ],
)
def test_errors_do_not_repeat_values_of_variables_and_options(arguments):
    """The value of any environment variable or option may be secret."""
    found = error_of(plan_of, version=VERSIONS["3.3"], **arguments)
    assert re.search("ValueError|IncompatibleArgumentsError", found)
    assert WORD not in found


@pytest.mark.parametrize(
    "call",
    [
        lambda login: RedisBroker.existing(login, auth_token=SECRET),
        lambda login: ExistingDatabase(endpoint=login, secret=SECRET),
        lambda login: Web(domain_name=login),
        lambda login: Web(base_url=login),
        lambda login: AirflowImage.registry(f"{login}/x:1"),
    ],
)
@pytest.mark.parametrize("login", [f"me:{WORD}@h", f":{WORD}@h", f"me:a/{WORD}:b@h", f"me:{WORD}@ghcr.io"])
def test_errors_do_not_repeat_a_login_without_a_scheme(call, login):
    """A host name may be given with a login by mistake."""
    found = error_of(call, login=login)
    assert "ValueError" in found
    assert WORD not in found


def test_errors_do_not_repeat_the_value_in_the_name_of_a_firelens_option():
    """A name may contain the value by mistake."""
    found = error_of(FireLens, options={f"http_passwd={WORD}": 5})
    assert "http_passwd must be text" in found
    assert WORD not in found


def test_the_error_for_a_plugin_option_set_twice_hides_both_values():
    """Options of plugins may be secret."""
    found = error_of(lambda: merge([("a", {("my", "x"): WORD}), ("b", {("my", "x"): "other"})], "3.3"))
    assert "[my] x is given twice: as a str by a, and as a str by b" in found
    assert WORD not in found
