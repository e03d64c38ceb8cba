"""Compares option_names.json with installed Airflow releases."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdk_airflow_ecs import AirflowImage, AirflowVersion, ImageDags
from cdk_airflow_ecs.cluster_arguments import ClusterArguments
from cdk_airflow_ecs.option_names import current_option, every_option
from cdk_airflow_ecs.options import Option, environment_name, known
from cdk_airflow_ecs.plan import Value
from cdk_airflow_ecs.relied_upon import option_owners, relied_upon
from cdk_airflow_ecs.resolve import resolve

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.airflow


@dataclass(frozen=True, kw_only=True)
class Airflow:
    """An installed Airflow release and its options."""

    minor: str
    described: frozenset[Option]
    sensitive: frozenset[Option]
    providers: frozenset[str]
    old: dict[Option, Option]
    defaults: dict[Option, str]
    plain: dict[Option, bool]
    commands: dict[Option, bool]


def relied_on(minor: str) -> dict[Option, Value]:
    """Return the options that a cluster relies on without setting them."""
    settings = resolve(
        ClusterArguments(version=AirflowVersion.of(minor), image=AirflowImage.registry("acme"), dags=ImageDags())
    )
    return {
        option: value for _, given in relied_upon(settings, option_owners(settings)) for option, value in given.items()
    }


@pytest.fixture(scope="module", params=["3.3.2", "2.11.2"])
def airflow(request, tmp_path_factory) -> Airflow:
    """Query an installed Airflow for every option name of all releases."""
    minor = request.param.rpartition(".")[0]
    home = tmp_path_factory.mktemp("airflow")
    current = {old: current_option(old, minor) or old for old in every_option()}
    sensitive = [option for option in known(minor) if every_option()[option].sensitive]
    relied = relied_on(minor)
    questions = {
        "defaults": list(relied),
        "plain": [(environment_name(*old), new) for old, new in current.items()],
        "commands": [(environment_name(*option) + "_CMD", option) for option in sensitive],
    }
    done = subprocess.run(
        [ROOT / ".venvs" / f"airflow-{request.param}" / "bin" / "python", "-W", "ignore", "options_probe.py"],
        cwd=Path(__file__).parent,
        env={"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(home)},
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    return Airflow(
        minor=minor,
        described=frozenset(map(tuple, answer["described"])),
        sensitive=frozenset(map(tuple, answer["sensitive"])),
        providers=frozenset(answer["providers"]),
        old={(old[0], old[1]): (old[2], old[3]) for old in answer["old"]},
        defaults=dict(zip(relied, answer["defaults"], strict=True)),
        plain=dict(zip(current, answer["plain"], strict=True)),
        commands=dict(zip(sensitive, answer["commands"], strict=True)),
    )


def installed(airflow: Airflow) -> set[Option]:
    """Return the options of a release in option_names.json, without those of providers that are not installed."""
    return {option for option, facts in known(airflow.minor).items() if facts.provider in {None, *airflow.providers}}


def only_later(airflow: Airflow) -> set[Option]:
    """Return options that are sensitive only since 3.2, which treats every fallback named "password" as a secret."""
    return {("atlas", "password")} if airflow.minor == "2.11" else set()


def test_option_names_json_has_every_option_of_airflow(airflow):
    """The file has every option of Airflow."""
    assert airflow.described - set(known(airflow.minor)) == set()


def test_airflow_has_every_option_of_option_names_json(airflow):
    """Airflow or an installed provider has every option that the file lists."""
    assert installed(airflow) - airflow.described == set()


def test_sensitive_options_are_those_that_airflow_masks(airflow):
    """The file marks exactly the options as sensitive that Airflow masks."""
    sensitive = {option for option in installed(airflow) if every_option()[option].sensitive}
    assert sensitive - only_later(airflow) == airflow.sensitive & installed(airflow)


def test_the_environment_variable_of_each_option_sets_the_option(airflow):
    """Airflow reads each option from its environment variable."""
    assert [option for option in known(airflow.minor) if not airflow.plain[option]] == []


def test_airflow_has_the_defaults_that_the_cluster_relies_on(airflow):
    """Options that the cluster relies on without setting them have the expected defaults."""
    assert len(airflow.defaults) > 10
    assert airflow.defaults == relied_on(airflow.minor)


def test_airflow_runs_the_commands_of_sensitive_options(airflow):
    """Airflow runs the command in a sensitive option's ``_CMD`` variable."""
    ran = {option for option, was_run in airflow.commands.items() if was_run}
    sensitive = {option for option in installed(airflow) if every_option()[option].sensitive}
    assert sensitive - only_later(airflow) - ran == set()


def test_airflow_reads_exactly_the_old_option_names_in_option_names_json(airflow):
    """Airflow reads an old name exactly if the file lists it as still read."""
    merged = {
        "stalled_task_timeout",
        "task_adoption_timeout",
        "worker_pods_pending_timeout",
    }  # excluded, because the scheduler computes one new option from these three
    for old, facts in every_option().items():
        if airflow.minor not in facts.minors and old[1] not in merged and current_option(old, airflow.minor):
            assert airflow.plain[old] == (airflow.minor in facts.read), old


def test_option_names_json_has_every_old_option_name_of_airflow(airflow):
    """The file maps each old option name that Airflow knows to its new name."""
    for old, new in airflow.old.items():
        if new in airflow.described:
            assert airflow.minor in every_option()[old].read, old
            assert current_option(old, airflow.minor) == new, old
