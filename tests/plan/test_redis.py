"""Redis brokers: their clients' settings, and rejected arguments."""

from __future__ import annotations

import pytest
from plans import GROUP, NUMBER_TOKEN, SECRET, TEXT_TOKEN, VERSIONS, EcsSecret

from cdk_airflow_ecs import AirflowVersion, RedisBroker
from cdk_airflow_ecs.plan import Ref, SecretRef


def test_clients_of_new_and_existing_redis_have_the_same_settings():
    """Clients of a new and an existing Redis have equal options and variables."""
    ours = RedisBroker().plan(AirflowVersion.V3_3, ["default"])
    theirs = RedisBroker.existing("redis.example.com", auth_token=SECRET).plan(AirflowVersion.V3_3, ["default"])
    assert ours == theirs
    assert ours.port == 6379
    assert RedisBroker.existing("r", auth_token=SECRET, port=6380).plan(AirflowVersion.V3_3, ["default"]).port == 6380
    assert ours.environment == {
        "BROKER_HOST": Ref("Broker", "host"),
        "BROKER_PORT": Ref("Broker", "port"),
        "BROKER_TOKEN": SecretRef("Broker", "token"),
    }


def test_the_default_visibility_timeout_is_one_day():
    """The default visibility timeout is Airflow's: one day."""
    option = ("celery_broker_transport_options", "visibility_timeout")
    brokers = [
        RedisBroker(),
        RedisBroker(visibility_timeout_seconds=172800),
        RedisBroker.existing("r", auth_token=SECRET, visibility_timeout_seconds=172800),
    ]
    found = [broker.plan(AirflowVersion.V3_3, ["default"]).config[option] for broker in brokers]
    assert found == ["86400", "172800", "172800"]
    for make in (RedisBroker, lambda **given: RedisBroker.existing("r", auth_token=SECRET, **given)):
        with pytest.raises(ValueError, match=r"visibility_timeout_seconds .*60 or more"):
            make(visibility_timeout_seconds=0)


@pytest.mark.parametrize("line", VERSIONS)
def test_redis_urls_are_composed_in_the_container(line):
    """Broker and results use two Redis databases over verified TLS; no URL contains a secret."""
    config = RedisBroker().plan(VERSIONS[line], ["default"]).config
    for name, database in (("broker_url_cmd", 0), ("result_backend_cmd", 1)):
        command = config["celery", name]
        assert command.startswith('python3 -ISc "')
        assert f"/{database}?ssl_cert_reqs=required" in command
        assert "rediss://" in command
    assert config["celery_broker_transport_options", "visibility_timeout"] == "86400"


@pytest.mark.parametrize("arguments", [{"serverless": True}, {"cluster_mode": True}])
def test_serverless_and_cluster_mode_redis_are_rejected(arguments):
    """The error explains why Celery does not work with this kind of Redis, and has an alternative."""
    with pytest.raises(ValueError, match=r"CROSSSLOT .*celery/celery#9019.* use RedisBroker\(replicas=1\)"):
        RedisBroker(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"replicas": 5, "snapshot_retention_days": 0},
        {"engine_version": "7.2", "snapshot_retention_days": 35},
        {"engine_version": "9.0", "replicas": 1, "failover": False},
        {"node_type": TEXT_TOKEN},
    ],
)
def test_minimum_and_maximum_of_each_redis_argument_are_accepted(arguments):
    """Both ends of the range of each argument, and a token as node type, are accepted."""
    broker = RedisBroker(**arguments)
    assert all(getattr(broker, name) == value for name, value in arguments.items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"replicas": 6}, "replicas .*0 to 5.*got 6"),
        ({"replicas": NUMBER_TOKEN}, "replicas .*0 to 5.*got a number known only at deploy time"),
        ({"snapshot_retention_days": 36}, "snapshot_retention_days .*0 to 35.*got 36"),
        ({"node_type": "t4g.micro"}, r'an ElastiCache type such as "cache\.t4g\.micro", got \'t4g\.micro\''),
        ({"node_type": None}, "node_type must be text"),
        ({"engine_version": "6.2"}, r"engine_version must be a Valkey release with two numbers, .*; got '6\.2'"),
        ({"engine_version": "7.0"}, r"engine_version must be a Valkey release with two numbers, .*; got '7\.0'"),
        ({"engine_version": "8"}, r"engine_version must be a Valkey release with two numbers, .*; got '8'"),
        ({"engine_version": "8.0.1"}, r"engine_version must be a Valkey release with two numbers, .*; got '8\.0\.1'"),
        ({"failover": True}, r"failover=True requires .* Pass replicas=1"),
        ({"replicas": 1, "failover": "no"}, "failover .*True or False"),
    ],
)
def test_the_error_for_a_redis_argument_states_the_accepted_values(arguments, words):
    """The error states the given value and the accepted values."""
    with pytest.raises(ValueError, match=f"^RedisBroker .*{words}"):
        RedisBroker(**arguments)


@pytest.mark.parametrize("token", [SECRET, EcsSecret()])
def test_the_redis_auth_token_may_be_a_whole_secret_or_a_field(token):
    """The AUTH token may be a whole secret or a field."""
    broker = RedisBroker.existing(TEXT_TOKEN, auth_token=token, port=NUMBER_TOKEN, security_group=GROUP)
    assert (broker.host, broker.port, broker.security_group) == (TEXT_TOKEN, NUMBER_TOKEN, GROUP)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"auth_token": "hunter2"}, "auth_token must be .* not the secret itself, got a str$"),
        ({"auth_token": None}, "auth_token must be .* or an ecs.Secret, got None"),
        ({"auth_token": EcsSecret}, "create an object"),
        ({"host": "redis://r"}, "host must be a host name without"),
        ({"host": "r:6379"}, "host must be a host name without"),
        ({"host": ""}, "host must be text"),
        ({"host": None}, "host must be text"),
        ({"port": 0}, "port .*1 to 65535.*got 0"),
        ({"port": "6379"}, "port .*1 to 65535.*got '6379'"),
        ({"security_group": "sg-1"}, "must be an ec2.ISecurityGroup, got 'sg-1'"),
    ],
)
def test_an_existing_redis_needs_a_valid_host_port_and_secret(arguments, words):
    """An existing Redis needs a valid host, port and secret."""
    with pytest.raises(ValueError, match=words) as caught:
        RedisBroker.existing(**{"host": "redis.example.com", "auth_token": SECRET, **arguments})
    assert str(caught.value).startswith("RedisBroker.existing ")
