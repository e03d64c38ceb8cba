"""Metadata databases: their clients' settings, and rejected arguments."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aws_cdk import aws_rds as rds
from plans import EXISTING, GROUP, NUMBER_TOKEN, SECRET, TEXT_TOKEN, containers, option, plan

from cdk_airflow_ecs import ExistingDatabase, RdsDatabase


def rds_database(end: str = "instance", *, port: float = 5432, engine: str | None = None, **more: object):
    """Return a stand-in for an RDS instance or an Aurora cluster."""
    has = {"connections": object(), f"{end}_endpoint": SimpleNamespace(port=port), "secret": SECRET}
    return SimpleNamespace(**{**has, "engine": SimpleNamespace(engine_type=engine) if engine else None, **more})


class Nameless:
    """Stand-in for a database cluster that was imported without its address."""

    connections = object()

    @property
    def cluster_endpoint(self) -> None:
        """Raise the same error as CDK."""
        raise RuntimeError("Cannot access `clusterEndpoint` of an imported cluster without an endpoint address")


INSTANCE, NAMELESS = rds_database(), Nameless()
MANAGED = rds_database(node=SimpleNamespace(default_child=SimpleNamespace(manage_master_user_password=True)))


def test_new_and_existing_databases_have_the_same_plan():
    """A cluster with a new and one with an existing database have equal plans."""
    assert plan(database=RdsDatabase()) == plan(database=EXISTING) == plan(database=ExistingDatabase(INSTANCE))


def test_edges_and_clients_use_the_port_and_tls_mode_of_the_database():
    """Edges have the database's port, and clients its TLS mode."""
    other = ExistingDatabase(endpoint="db", secret=SECRET, port=6543, ssl_mode="verify-full")
    found = plan(database=other)
    assert {edge.port for edge in found.edges if edge.target == "Database"} == {6543}
    clients = [c for c in containers(found).values() if "METADATA_HOST" in c.environment]
    assert {c.environment["PGSSLMODE"] for c in clients} == {"verify-full"}
    assert not [c for c in clients if "sslmode" in option(c, "database", "sql_alchemy_conn_cmd")]


def test_every_client_of_the_database_has_the_certificate_bundle():
    """Every database client has the path of the certificate bundle."""
    checked = ExistingDatabase(endpoint="db", secret=SECRET, ssl_mode="verify-full")
    found = plan(database=checked, environment={"PGSSLROOTCERT": "/opt/rds/global-bundle.pem"})
    clients = [c for c in containers(found).values() if "METADATA_HOST" in c.environment]
    assert len(clients) > 4
    assert {c.environment["PGSSLROOTCERT"] for c in clients} == {"/opt/rds/global-bundle.pem"}


def test_the_database_url_is_composed_in_the_container():
    """The command that prints the database URL contains no secret and needs no shell."""
    command = option(containers(plan())["scheduler"], "database", "sql_alchemy_conn_cmd")
    assert command.startswith('python3 -ISc "')
    assert command.count('"') == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"engine_version": "13", "backup_retention_days": 35, "allocated_storage_gib": 20},
        {"engine_version": "18.1", "allocated_storage_gib": 65535, "max_allocated_storage_gib": 65536},
        {"instance_class": "db.m7g.large", "multi_az": False, "deletion_protection": False, "backup_retention_days": 1},
    ],
)
def test_minimum_and_maximum_of_each_database_argument_are_accepted(arguments):
    """Both ends of the range of each argument are accepted."""
    database = RdsDatabase(**arguments)
    assert all(getattr(database, name) == value for name, value in arguments.items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"instance_class": "t4g.small"}, "instance_class must be an RDS class"),
        ({"instance_class": None}, "instance_class must be an RDS class"),
        ({"engine_version": "12.4"}, "engine_version must be a PostgreSQL release as text, 13 to 18"),
        ({"engine_version": 17}, "engine_version must be a PostgreSQL release as text.* got 17"),
        ({"allocated_storage_gib": 19}, "storage_gib .*20 to 65536.*got 19"),
        ({"allocated_storage_gib": NUMBER_TOKEN}, "got a number known only at deploy time"),
        ({"allocated_storage_gib": 100}, "storage_gib=100 must be more than allocated_storage_gib=100"),
        ({"max_allocated_storage_gib": 65537}, "storage_gib .*20 to 65536.*got 65537"),
        ({"backup_retention_days": 0}, "backup_retention_days .*1 to 35.*got 0"),
        ({"multi_az": "no"}, "multi_az .*True or False, got 'no'"),
        ({"deletion_protection": 1}, "deletion_protection .*True or False, got 1"),
    ],
)
def test_the_error_for_a_database_argument_states_the_accepted_values(arguments, words):
    """The error states the given value and the accepted values."""
    with pytest.raises(ValueError, match=f"^RdsDatabase .*{words}"):
        RdsDatabase(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"database": INSTANCE},
        {"database": rds_database(secret=None), "secret": SECRET},
        {"database": rds_database(engine="postgres")},
        {"database": rds_database("cluster", engine="aurora-postgresql")},
        {"endpoint": TEXT_TOKEN, "secret": SECRET, "port": NUMBER_TOKEN, "security_group": GROUP},
    ],
)
def test_an_existing_database_is_an_rds_construct_or_an_endpoint(arguments):
    """An existing database is an RDS construct or an endpoint."""
    assert ExistingDatabase(**arguments).port == arguments.get("port", 5432)


@pytest.mark.parametrize("end", ["instance", "cluster"])
@pytest.mark.parametrize("port", [5433, NUMBER_TOKEN])
def test_the_default_port_is_that_of_the_existing_rds_database(end, port):
    """port= overrides the port of the existing RDS database."""
    database = rds_database(end, port=port)
    found = plan(database=ExistingDatabase(database))
    assert {edge.port for edge in found.edges if edge.target == "Database"} == {port}
    assert ExistingDatabase(database, port=6432).port == 6432


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "got neither"),
        ({"database": INSTANCE, "endpoint": "db"}, "got both"),
        ({"database": "db.example.com"}, "or a host name as endpoint=, got 'db.example.com'"),
        ({"database": RdsDatabase}, "the class RdsDatabase"),
        ({"database": rds.DatabaseCluster}, "the class DatabaseCluster"),
        ({"database": SimpleNamespace(connections=object())}, "or a host name as endpoint=, got a SimpleNamespace"),
        ({"database": rds_database(secret=None)}, "has no credentials: pass secret="),
        ({"database": rds_database(engine="mysql")}, "must be PostgreSQL, got 'mysql'"),
        ({"database": rds_database("cluster", engine="aurora-mysql")}, "must be PostgreSQL, got 'aurora-mysql'"),
        ({"database": NAMELESS}, "the imported cluster. Pass cluster_endpoint_address= and port="),
        ({"database": MANAGED}, "every seven days, .* Pass secret="),
        ({"endpoint": "db"}, "has no credentials: pass secret="),
        ({"endpoint": "db", "secret": "hunter2"}, "secret must be .*, not the secret itself, got a str$"),
        ({"endpoint": "postgresql://u:p@db/x", "secret": SECRET}, "endpoint must be a host name without"),
        ({"endpoint": "", "secret": SECRET}, "endpoint must be text"),
        ({"endpoint": "db", "secret": SECRET, "port": 70000}, "port .*1 to 65535.*got 70000"),
        ({"endpoint": "db", "secret": SECRET, "ssl_mode": "on"}, "ssl_mode must be one of require, .*; got 'on'"),
        ({"endpoint": "db", "secret": SECRET, "database_name": ""}, "database_name must be text"),
        (
            {"endpoint": "db", "secret": SECRET, "database_name": "my db"},
            "database_name must be letters, digits.* got 'my db'",
        ),
        ({"endpoint": "db", "secret": SECRET, "database_name": "data?x=1"}, "database_name must be letters, digits"),
        ({"endpoint": "db", "secret": SECRET, "security_group": "sg-1"}, "must be an ec2.ISecurityGroup"),
        ({"database": INSTANCE, "security_group": GROUP}, "security_group= requires endpoint="),
    ],
)
def test_an_existing_database_without_credentials_or_address_is_rejected(arguments, words):
    """The error for missing credentials or a missing address has the remedy."""
    with pytest.raises(ValueError, match=words) as caught:
        ExistingDatabase(**arguments)
    assert str(caught.value).startswith("ExistingDatabase ")
