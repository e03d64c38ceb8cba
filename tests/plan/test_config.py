"""Airflow options: their names, merging, and findings about wrong ones."""

from __future__ import annotations

import json
from datetime import timedelta
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.option_merging import merge
from cdk_airflow_ecs.option_names import current_option, every_option, minors
from cdk_airflow_ecs.options import Finding, environment_name, exists, flatten, known
from cdk_airflow_ecs.options import check as check_flat
from cdk_airflow_ecs.validation import shown

MINORS = ("2.8", "2.9", "2.10", "2.11", "3.0", "3.1", "3.2", "3.3")
TOKEN = "${Token[TOKEN.123]}"  # the text that CDK substitutes for a value that is known only at deploy time
NUMBER_TOKEN = -1.8881545897087626e289
PASSWORD = "hunter2-hunter2"


class Secret:
    """Stand-in for ecs.Secret: neither text nor number."""


def check(user: dict[str, dict[str, object]], minor: str) -> tuple[Finding, ...]:
    """Return the findings about a configuration."""
    return check_flat(flatten(user), minor)


def one(section: str, option: str, minor: str, value: object = "1") -> tuple[str, str]:
    """Return the rule and message of the only finding about an option."""
    (finding,) = check({section: {option: value}}, minor)
    assert not finding.is_error
    return finding.id.removeprefix("cdk-airflow-ecs:"), finding.message


# --- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (("core", "parallelism"), "AIRFLOW__CORE__PARALLELISM"),
        (("common.io", "xcom_objectstorage_path"), "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"),
        (("providers.odbc", "allow_driver_in_extra"), "AIRFLOW__PROVIDERS_ODBC__ALLOW_DRIVER_IN_EXTRA"),
        (("team_a___core", "parallelism"), "AIRFLOW__TEAM_A___CORE__PARALLELISM"),
    ],
)
def test_the_environment_variable_of_an_option_is_upper_case(option, name):
    """In the environment variable, underscores replace dots."""
    assert environment_name(*option) == name


words = st.from_regex(r"[a-z][a-z0-9]*(_[a-z0-9]+){0,3}", fullmatch=True)


@settings(max_examples=25)
@given(section=words, option=words)
def test_airflow_can_split_the_variable_into_section_and_option(section, option):
    """Airflow splits the environment variable at double underscores."""
    prefix, *names = environment_name(section, option).split("__", 2)
    assert (prefix, *(name.lower() for name in names)) == ("AIRFLOW", section, option)


def test_no_two_options_share_an_environment_variable():
    """The test compares the options of all Airflow releases."""
    names = [environment_name(*option) for option in every_option()]
    assert len(names) == len(set(names))


# --- option_names.json ---------------------------------------------------------------------------------------


def test_the_option_names_of_every_supported_release_are_known():
    """Each Airflow release line has hundreds of options."""
    assert minors() == MINORS
    assert all(300 < len(known(minor)) < 700 for minor in MINORS)


def test_option_names_are_those_of_the_default_patch_releases():
    """option_names.json states the patch releases."""
    data = json.loads(files("cdk_airflow_ecs").joinpath("option_names.json").read_text())
    assert data["airflow"] == {version.line: str(version) for version in AirflowVersion.ALL}


@pytest.mark.parametrize(
    ("option", "has", "has_not"),
    [
        (("webserver", "secret_key"), "2.11", "3.0"),
        (("api", "secret_key"), "3.0", "2.11"),
        (("api_auth", "jwt_secret"), "3.0", "2.11"),
        (("core", "execution_api_server_url"), "3.0", "2.11"),
        (("scheduler", "dag_dir_list_interval"), "2.11", "3.0"),
        (("dag_processor", "refresh_interval"), "3.0", "2.11"),
        (("dag_processor", "dag_bundle_config_list"), "3.0", "2.11"),
        (("scheduler", "standalone_dag_processor"), "2.11", "3.0"),
        (("core", "auth_manager"), "2.8", None),
        (("core", "fernet_key"), "2.8", None),
        (("database", "sql_alchemy_conn"), "2.8", None),
        (("celery", "broker_url"), "2.8", None),
        (("celery", "result_backend"), "3.3", None),
        (("celery", "extra_celery_config"), "3.3", "2.8"),
        (("celery_broker_transport_options", "visibility_timeout"), "3.3", None),
        (("aws_ecs_executor", "task_definition"), "2.8", None),
        (("fab", "session_lifetime_minutes"), "3.3", "2.8"),
        (("logging", "remote_base_log_folder"), "3.3", None),
        (("core", "sql_alchemy_conn"), None, "2.8"),
    ],
)
def test_added_and_removed_options_exist_in_the_right_releases(option, has, has_not):
    """Well-known options exist in the right releases."""
    assert has is None or exists(option, has)
    assert has_not is None or not exists(option, has_not)


@pytest.mark.parametrize(
    ("old", "minor", "new"),
    [
        (("webserver", "secret_key"), "3.3", ("api", "secret_key")),
        (("core", "sql_alchemy_conn"), "2.8", ("database", "sql_alchemy_conn")),
        (("scheduler", "dag_dir_list_interval"), "3.3", ("dag_processor", "refresh_interval")),
        (("scheduler", "dag_dir_list_interval"), "2.11", ("scheduler", "dag_dir_list_interval")),
        (("api", "auth_backend"), "2.8", ("api", "auth_backends")),
        (("api", "auth_backend"), "3.3", ("fab", "auth_backends")),
        (("webserver", "page_size"), "3.1", ("api", "page_size")),
        (("webserver", "page_size"), "3.3", ("api", "fallback_page_limit")),
        (("core", "check_slas"), "3.3", None),
    ],
)
def test_an_old_option_name_leads_to_the_current_one(old, minor, new):
    """An old option name leads to the current one, even over several renames."""
    assert current_option(old, minor) == new


def test_option_names_are_stored_sorted_one_per_line():
    """Therefore diffs of option_names.json are readable."""
    text = files("cdk_airflow_ecs").joinpath("option_names.json").read_text()
    names = list(json.loads(text)["options"])
    assert names == sorted(names, key=lambda name: name.rpartition(".")[::2])
    assert len(text) < 150_000
    assert len(text.splitlines()) == len(names) + 5


def test_the_current_name_of_an_option_exists_in_the_release():
    """If an option has no current name in the release, the result is None."""
    for option in every_option():
        for minor in MINORS:
            new = current_option(option, minor)
            assert new is None or new in known(minor)


def test_the_options_of_an_unknown_release_raise_an_error():
    """The error contains the unknown release."""
    for ask in (lambda: known("2.7"), lambda: exists(("core", "parallelism"), "3.3.2"), lambda: check({}, "4.0")):
        with pytest.raises(ValueError, match=r"2\.8, .*, got '(2\.7|3\.3\.2|4\.0)'"):
            ask()


def test_the_suffixes_cmd_and_secret_exist_only_for_sensitive_options():
    """The suffixes _cmd and _secret exist only for sensitive options."""
    assert exists(("celery", "broker_url_cmd"), "3.3")
    assert exists(("celery", "broker_url_secret"), "3.3")
    assert not exists(("core", "parallelism_cmd"), "3.3")
    assert not exists(("api", "secret_key_cmd"), "2.11")


def test_a_section_without_fixed_options_accepts_any_option():
    """Celery's transport options are such a section."""
    assert exists(("celery_broker_transport_options", "predefined_queues"), "2.8")
    assert not exists(("celery", "predefined_queues"), "2.8")


# --- merging -------------------------------------------------------------------------------------------------

options = st.tuples(st.sampled_from(["core", "celery"]), words)
values = st.one_of(st.text(), st.integers(), st.booleans())


@settings(max_examples=25)
@given(chosen=st.dictionaries(options, values, max_size=6), stride=st.integers(1, 3))
def test_option_sources_that_do_not_conflict_are_merged(chosen, stride):
    """The result is the union of the options of all sources, in order."""
    part = dict(list(chosen.items())[::stride])
    assert merge([("a", part), ("b", chosen), ("c", {})], "3.3") == chosen
    assert list(merge([("a", part), ("b", chosen)], "3.3"))[: len(part)] == list(part)


@pytest.mark.parametrize(("first", "second"), [(32, 64), ("32", 32), (True, 1), (32, TOKEN), (32, NUMBER_TOKEN)])
def test_the_error_for_conflicting_options_names_both_sources_and_values(first, second):
    """An option with different values in two sources raises an error."""
    with pytest.raises(ValueError, match="given twice") as caught:
        merge(
            [("config=", {("core", "parallelism"): first}), ("LocalExecutor", {("core", "parallelism"): second})], "3.3"
        )
    assert str(caught.value) == (
        f"[core] parallelism is given twice: as {shown(first)} by config=, and as {shown(second)} by LocalExecutor; "
        "remove one of the two"
    )


def test_the_error_for_a_conflict_hides_sensitive_values():
    """Values of sensitive options are not shown."""
    with pytest.raises(ValueError, match="as a secret by config=, and as a secret by the library") as caught:
        merge(
            [("config=", {("core", "fernet_key"): PASSWORD}), ("the library", {("core", "fernet_key"): Secret()})],
            "3.3",
        )
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("minor", "old", "new"),
    [
        ("3.3", ("webserver", "base_url"), ("api", "base_url")),
        ("3.0", ("webserver", "secret_key"), ("api", "secret_key")),
        ("2.11", ("core", "sql_alchemy_conn_cmd"), ("database", "sql_alchemy_conn_cmd")),
        ("2.11", ("core", "sql_alchemy_conn"), ("database", "sql_alchemy_conn_cmd")),
        ("2.8", ("celery", "default_queue"), ("operators", "default_queue")),
    ],
)
def test_different_values_under_old_and_new_option_name_conflict(minor, old, new):
    """The error has the old and the new name."""
    with pytest.raises(ValueError, match=", are one option; remove one of the two") as caught:
        merge([("this cluster", {new: "a"}), ("config=", {old: "b"})], minor)
    for (section, name), source in ((new, "this cluster"), (old, "config=")):
        assert f"[{section}] {name} by {source}" in str(caught.value)


def test_equal_values_under_old_and_new_option_name_are_merged():
    """Equal values under the old and the new name are set once."""
    agreed = merge([("a", {("api", "port"): "8080"}), ("b", {("webserver", "web_server_port"): "8080"})], "3.3")
    assert agreed == {("api", "port"): "8080"}


def test_an_option_name_that_airflow_ignores_does_not_conflict():
    """Airflow 3.0 ignores [webserver] base_url, for example."""
    both = {("api", "base_url"): "a", ("webserver", "base_url"): "b"}
    assert merge([("config=", both)], "3.0") == both


# --- unknown, renamed, removed and newer options -------------------------------------------------------------


def test_existing_options_with_accepted_values_have_no_findings():
    """Existing options with accepted values have no findings."""
    config = {
        "core": {"parallelism": 32, "load_examples": False, "default_timezone": "utc", "fernet_key": Secret()},
        "scheduler": {"scheduler_heartbeat_sec": 2.5, "max_tis_per_query": NUMBER_TOKEN},
        "logging": {"remote_base_log_folder": f"s3://{TOKEN}/logs", "logging_level": Secret()},
    }
    assert [check(config, minor) for minor in MINORS] == [()] * 8


@pytest.mark.parametrize("minor", MINORS)
def test_no_option_of_a_release_is_reported_except_as_deprecated(minor):
    """An option of the release is at most deprecated."""
    config: dict[str, dict[str, object]] = {}
    for section, option in known(minor):
        config.setdefault(section, {})[option] = Secret()
    assert {finding.id for finding in check(config, minor)} <= {"cdk-airflow-ecs:deprecated-option"}


@pytest.mark.parametrize(
    ("section", "option", "meant"),
    [
        ("core", "paralelism", "[core] parallelism"),
        ("core", "fernetkey", "[core] fernet_key"),
        ("scheduler", "parallelism", "[core] parallelism"),
        ("schedulr", "max_tis_per_query", "[scheduler] max_tis_per_query"),
        ("schedulr", "quite_something_else", "[scheduler]"),
        ("smtp", "host", "[smtp] smtp_host"),
        ("dag_processor", "dag_dir_list_interval", "[dag_processor] refresh_interval"),
        ("aws_ecs_executor", "clster", "[aws_ecs_executor] cluster"),
        ("webserver", "paralelism", "[core] parallelism"),
    ],
)
def test_an_unknown_option_gets_the_most_similar_one_as_suggestion(section, option, meant):
    """The finding suggests the most similar option of any section."""
    rule, message = one(section, option, "3.3", Secret())
    assert rule == "unknown-option"
    assert message == f"Airflow 3.3 has no option [{section}] {option}; did you mean {meant}?"


def test_an_option_unlike_all_others_has_no_suggestion():
    """An option unlike all others has no suggestion."""
    assert one("core", "zzz", "3.3") == ("unknown-option", "Airflow 3.3 has no option [core] zzz")


def test_the_cmd_form_of_an_option_that_is_not_sensitive_is_reported():
    """Airflow reads _cmd only for sensitive options."""
    rule, message = one("core", "parallelism_cmd", "3.3", "nproc")
    assert rule == "unknown-option"
    assert message.endswith("[core] parallelism is not sensitive")


@pytest.mark.parametrize(
    ("section", "option", "minor", "words"),
    [
        ("webserver", "secret_key", "3.3", "is called [api] secret_key since Airflow 3.0.2. Airflow 3.3 still reads"),
        ("webserver", "secret_key", "3.3", 'write config={"api": {"secret_key": ...}}'),
        ("core", "sql_alchemy_conn", "2.8", 'write config={"database": {"sql_alchemy_conn": ...}}'),
        ("core", "sql_alchemy_conn_cmd", "2.8", 'write config={"database": {"sql_alchemy_conn": ...}}'),
        ("scheduler", "dag_dir_list_interval", "3.3", 'write config={"dag_processor": {"refresh_interval": ...}}'),
        ("api", "auth_backend", "2.11", 'write config={"api": {"auth_backends": ...}}'),
        ("celery", "stalled_task_timeout", "2.11", 'write config={"scheduler": {"task_queued_timeout": ...}}'),
        ("metrics", "otel_host", "3.3", "is deprecated since Airflow 3.2.0. According to the OpenTelemetry"),
    ],
)
def test_a_deprecated_option_is_reported_with_its_replacement(section, option, minor, words):
    """The finding about a deprecated option has the new name."""
    rule, message = one(section, option, minor, Secret())
    assert rule == "deprecated-option"
    assert words in message


@pytest.mark.parametrize(
    ("section", "option", "minor", "words"),
    [
        ("scheduler", "parsing_processes", "3.3", "was removed in Airflow 3.0, and Airflow 3.3 ignores it; write"),
        ("scheduler", "parsing_processes", "3.3", 'write config={"dag_processor": {"parsing_processes": ...}}'),
        ("core", "sql_alchemy_pool_size", "3.3", "was removed in Airflow 3.0"),
        ("core", "sql_alchemy_conn", "3.0", "was removed in Airflow 3.0"),
        (
            "webserver",
            "page_size",
            "3.3",
            'in Airflow 3.2, and Airflow 3.3 ignores it; write config={"api": {"fallback',
        ),
        ("core", "check_slas", "3.0", "ignores it. The SLA feature is removed in Airflow 3.0"),
        ("webserver", "dag_orientation", "3.3", "ignores it. Nothing replaces it: remove it."),
        ("webserver", "force_log_out_after", "2.8", "before Airflow 2.8"),
        ("smtp", "smtp_password", "3.3", "Please use the SMTP connection"),
    ],
)
def test_a_removed_option_is_reported_with_its_replacement(section, option, minor, words):
    """The finding has the release that removed the option, and the replacement."""
    rule, message = one(section, option, minor, Secret())
    assert rule == "removed-option"
    assert words in message


@pytest.mark.parametrize(
    ("section", "option", "minor", "words"),
    [
        ("api", "secret_key", "2.11", 'Airflow 3.0 has it; write config={"webserver": {"secret_key": ...}}'),
        ("api", "page_size", "3.0", 'Airflow 3.1 has it; write config={"webserver": {"page_size": ...}}'),
        ("core", "execution_api_server_url", "2.11", "Airflow 2.11 has no [core] execution_api_server_url"),
        ("celery", "extra_celery_config", "2.8", "Airflow 2.8 with its celery provider has no [celery]"),
        ("core", "mp_start_method", "3.1", "Airflow 3.3 has it"),
        ("workers", "missing_dag_retires", "2.8", "Airflow 3.1 has it"),
    ],
)
def test_an_option_of_a_newer_airflow_release_is_reported(section, option, minor, words):
    """The finding has the Airflow release that added the option."""
    rule, message = one(section, option, minor, Secret())
    assert rule == "newer-option"
    assert words in message


@pytest.mark.parametrize("minor", ["2.8", "2.11", "3.0", "3.3"])
def test_an_option_that_only_other_airflow_releases_have_gives_one_finding(minor):
    """An option of the cluster's Airflow release gives none."""
    for (section, option), facts in every_option().items():
        if minor not in facts.minors and not exists((section, option), minor):
            assert len(check({section: {option: Secret()}}, minor)) == 1


@pytest.mark.parametrize(
    ("section", "option"),
    [
        ("my_plugin", "host"),
        ("databricks", "parallelism"),
        ("celery_broker_transport_options", "predefined_queues"),
        ("elasticsearch_configs", "max_retries"),
        ("opensearch_configs", "max_retries"),
        ("sentry", "traces_sample_rate"),
    ],
)
@pytest.mark.parametrize("minor", ["2.8", "3.3"])
def test_sections_of_plugins_accept_any_option(section, option, minor):
    """Sections of plugins, and some of Airflow's, accept any option."""
    assert check({section: {option: "1"}}, minor) == ()


# --- secrets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [PASSWORD, f"{TOKEN}{PASSWORD}", TOKEN, 7, 7.5, NUMBER_TOKEN])
@pytest.mark.parametrize(
    ("section", "option"),
    [("core", "fernet_key"), ("celery", "broker_url"), ("sentry", "sentry_dsn"), ("team_a___core", "fernet_key")],
)
def test_the_error_for_a_plain_text_secret_has_the_remedy(section, option, value):
    """The error does not contain the secret."""
    (finding,) = check({section: {option: value}}, "3.3")
    place = section.rpartition("_")[2]
    remedy = f'pass an ecs.Secret: config={{"{place}": {{"{option}": ecs.Secret.from_secrets_manager(...)}}}}'
    instead = {
        "core": "leave it out, the cluster generates one and keeps it in Secrets Manager",
        "celery": "use executor=CeleryExecutor(broker=RedisBroker.existing(…))",
        "database": "use database=ExistingDatabase(endpoint=…, secret=…)",
    }
    assert finding == Finding(
        option=(section, option),
        id="cdk-airflow-ecs:plain-text-secret",
        message=f"[{place}] {option} is a secret, and would be readable in the template; {instead.get(place, remedy)}",
        is_error=True,
    )


def test_the_remedy_for_a_secret_under_an_old_name_uses_the_new_name():
    """The remedy contains the new option name."""
    secret, renamed = check({"webserver": {"secret_key": PASSWORD}}, "3.3")
    assert secret.is_error
    assert "leave it out, the cluster generates one" in secret.message
    assert renamed.id == "cdk-airflow-ecs:deprecated-option"


def test_a_plain_text_secret_that_airflow_ignores_is_rejected():
    """The template would still contain the password."""
    rules = [finding.id for finding in check({"smtp": {"smtp_password": PASSWORD}}, "3.3")]
    assert rules == ["cdk-airflow-ecs:plain-text-secret", "cdk-airflow-ecs:removed-option"]


@pytest.mark.parametrize("value", [Secret(), timedelta(1), ""])
def test_an_ecs_secret_is_accepted_for_a_sensitive_option(value):
    """Only text and numbers count as plain text; empty text is accepted."""
    assert check({"core": {"fernet_key": value}}, "3.3") == ()


@pytest.mark.parametrize("suffix", ["_cmd", "_secret"])
@pytest.mark.parametrize(("section", "option"), [("core", "fernet_key"), ("celery", "result_backend")])
def test_a_command_or_path_of_a_secret_is_accepted(section, option, suffix):
    """The command itself is not secret."""
    assert check({section: {option + suffix: "cat /run/key"}}, "3.3") == ()


def test_an_option_whose_own_name_ends_in_secret_is_sensitive():
    """An option whose own name ends in _secret is sensitive."""
    (finding,) = check({"api_auth": {"jwt_secret": PASSWORD}}, "3.3")
    assert finding.is_error


@pytest.mark.parametrize(
    ("section", "option"), [("secrets", "backend_kwargs"), ("database", "sql_alchemy_engine_args")]
)
def test_options_that_rarely_hold_a_secret_give_a_warning(section, option):
    """Options that rarely hold a secret give a warning."""
    rule, message = one(section, option, "3.3", '{"connections_prefix": "airflow/connections"}')
    assert rule == "possibly-secret-option"
    assert "If it holds a password or a key, pass an ecs.Secret" in message
    assert "airflow/connections" not in message


@pytest.mark.parametrize(
    ("section", "option", "value"),
    [
        ("secrets", "backend_kwargs", '{"url": "https://vault", "token": "hunter2-hunter2"}'),
        ("workers", "secrets_backend_kwargs", '{"role": {"secret_key": "hunter2-hunter2"}}'),
        ("database", "sql_alchemy_engine_args", '{"connect_args": {"password": "hunter2-hunter2"}}'),
        ("dag_processor", "dag_bundle_config_list", '[{"kwargs": {"access_token": "hunter2-hunter2"}}]'),
        ("celery", "extra_celery_config", '{"redis_password": "hunter2-hunter2"}'),
    ],
)
def test_a_secret_in_json_is_rejected(section, option, value):
    """Instead of the secret, an empty value or placeholder is accepted."""
    (finding,) = check({section: {option: value}}, "3.3")
    assert finding.id == "cdk-airflow-ecs:plain-text-secret"
    assert finding.is_error
    assert PASSWORD not in finding.message
    for harmless in ('"${VAULT_TOKEN}"', "null", '""', "[]"):
        found = check({section: {option: value.replace('"hunter2-hunter2"', harmless)}}, "3.3")
        assert not any(finding.is_error for finding in found)


@settings(max_examples=25)
@given(
    section=st.sampled_from(["core", "celery", "smtp", "api", "plugin"]), option=words, minor=st.sampled_from(MINORS)
)
def test_no_finding_shows_the_value_of_its_option(section, option, minor):
    """Values may be secret."""
    assert all(PASSWORD not in finding.message for finding in check({section: {option: PASSWORD}}, minor))


# --- shape ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("core", 'config must map sections to options, got str; write config={"core": {"<option>": ...}}'),
        ({"core": "x"}, "config['core'] must map options to values, got str; write config={\"core\": {"),
        ({"AIRFLOW__CORE__PARALLELISM": 8}, 'an environment variable; write config={"core": {"parallelism": ...}}'),
        ({"AIRFLOW_CORE__PARALLELISM": 8}, 'an environment variable; write config={"core": {"parallelism": ...}}'),
        ({"core": {"AIRFLOW__CORE__PARALLELISM": 8}}, 'write config={"core": {"parallelism": ...}}'),
        ({"CORE": {"parallelism": 8}}, "lower case, as in airflow.cfg, got 'CORE'; write"),
        ({"core": {"PARALLELISM": 8}}, 'got \'PARALLELISM\'; write config={"core": {"parallelism": ...}}'),
        ({1: {}}, "section names must be text, got 1 (int)"),
        ({"core": {1: "x"}}, "option names must be text, got 1 (int)"),
        ({"core": {"": "x"}}, "letters, digits and _ . -, got ''"),
        ({"my section": {}}, "letters, digits and _ . -, got 'my section'"),
        ({"a=b": {}}, "letters, digits and _ . -, got 'a=b'"),
        ({"core": {"parallelism": None}}, "[core] parallelism is None; omit it for Airflow's default"),
        ({"core": {"parallelism": {}}}, "got a dict; pass text, such as json.dumps(...)"),
        ({"core": {"parallelism": [1]}}, "got a list; pass text, such as json.dumps(...)"),
        ({"core": {"parallelism": (1,)}}, "got a tuple; pass text"),
        ({"core": {"parallelism": {1}}}, "got a set; pass text"),
        ({"core": {"parallelism": b"1"}}, "got a bytes; pass text"),
    ],
)
def test_the_error_for_malformed_config_shows_the_correct_form(config, words):
    """The error shows the correct form of `config=`."""
    with pytest.raises(ValueError, match="config") as caught:
        check(config, "3.3")
    assert words in str(caught.value)


def test_the_error_for_malformed_config_hides_the_value():
    """The error does not contain the value."""
    with pytest.raises(ValueError, match="environment variable") as caught:
        check({"AIRFLOW__CORE__FERNET_KEY": PASSWORD}, "3.3")  # type: ignore[dict-item]
    assert PASSWORD not in str(caught.value)


def test_findings_have_the_order_of_the_options_in_config():
    """Findings are in the order of the options in config=."""
    found = check({"core": {"zzz": 1, "paralelism": 1}, "api": {"zzz": 1}}, "3.3")
    assert [finding.message.partition("option ")[2].partition(";")[0] for finding in found] == [
        "[core] zzz",
        "[core] paralelism",
        "[api] zzz",
    ]
