"""Aurora as metadata database: accepted and rejected arguments."""

from __future__ import annotations

import pytest
from plans import NUMBER_TOKEN, TEXT_TOKEN, plan

from cdk_airflow_ecs import AuroraDatabase, RdsDatabase


def test_aurora_and_rds_have_the_same_plan():
    """Aurora and RDS have equal plans."""
    assert plan(database=AuroraDatabase(readers=3)) == plan(database=RdsDatabase())


def test_aurora_defaults_to_half_an_acu_and_one_reader():
    """The default reader is a standby for failover."""
    database = AuroraDatabase()
    assert (database.min_capacity, database.max_capacity, database.readers) == (0.5, 4, 1)
    assert RdsDatabase().multi_az is (database.readers > 0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"min_capacity": 0.5, "max_capacity": 1, "readers": 0, "backup_retention_days": 1},
        {"min_capacity": 256, "max_capacity": 256.0, "readers": 15, "backup_retention_days": 35},
        {"min_capacity": 1.5, "max_capacity": 1.5, "engine_version": "14.22", "io_optimized": True},
        {"engine_version": "18.3", "deletion_protection": False},
    ],
)
def test_minimum_and_maximum_of_each_aurora_argument_are_accepted(arguments):
    """Both ends of the range of each argument are accepted."""
    database = AuroraDatabase(**arguments)
    assert all(getattr(database, name) == value for name, value in arguments.items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"min_capacity": 0}, "min_capacity=0 would pause .* Use 0.5"),
        ({"min_capacity": 0.0}, "min_capacity=0 would pause"),
        ({"min_capacity": 0.25}, "min_capacity must be a number of ACU, 0.5 to 256 in half steps; got 0.25"),
        ({"min_capacity": 0.7}, "min_capacity must be a number of ACU, 0.5 to 256 in half steps; got 0.7"),
        ({"min_capacity": -1}, "min_capacity must be a number of ACU, .* got -1"),
        ({"min_capacity": False}, "min_capacity must be a number of ACU, .* got False"),
        ({"min_capacity": "0.5"}, "min_capacity must be a number of ACU, .* got '0.5'"),
        ({"min_capacity": None}, "min_capacity must be a number of ACU, .* got None"),
        ({"min_capacity": float("nan")}, "min_capacity must be a number of ACU, .* got nan"),
        ({"min_capacity": NUMBER_TOKEN}, "min_capacity must be .* got a number known only at deploy time"),
        ({"max_capacity": 0.5}, "max_capacity must be a number of ACU, 1 to 256 in half steps; got 0.5"),
        ({"max_capacity": 257}, "max_capacity must be a number of ACU, 1 to 256 in half steps; got 257"),
        ({"max_capacity": float("inf")}, "max_capacity must be a number of ACU, .* got inf"),
        ({"max_capacity": True}, "max_capacity must be a number of ACU, .* got True"),
        ({"min_capacity": 8}, "max_capacity=4 must not be less than min_capacity=8"),
        ({"readers": 16}, "readers .*0 to 15.*got 16"),
        ({"readers": -1}, "readers .*0 to 15.*got -1"),
        ({"readers": True}, "readers .*0 to 15.*got True"),
        ({"backup_retention_days": 0}, "backup_retention_days .*1 to 35.*got 0"),
        ({"engine_version": "13"}, "engine_version must be a major or minor release as text, 14 to 18, .* got '13'"),
        (
            {"engine_version": "17."},
            r"engine_version must be a major or minor release as text, 14 to 18, .* got '17\.'",
        ),
        ({"engine_version": "13.20"}, "engine_version must be a major or minor release .* got '13.20'"),
        ({"engine_version": 17.9}, "engine_version must be a major or minor release as text.* got 17.9"),
        ({"engine_version": TEXT_TOKEN}, "engine_version must be .* got a text known only at deploy time"),
        ({"io_optimized": "yes"}, "io_optimized .*True or False, got 'yes'"),
        ({"deletion_protection": 1}, "deletion_protection .*True or False, got 1"),
    ],
)
def test_the_error_for_an_aurora_argument_states_the_accepted_values(arguments, words):
    """The error states the given value and the accepted values."""
    with pytest.raises(ValueError, match=f"^AuroraDatabase {words}"):
        AuroraDatabase(**arguments)
