"""What option_names.json says of a release, against that release itself."""

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
    """A release, and what it answered."""

    minor: str
    described: frozenset[Option]
    sensitive: frozenset[Option]
    providers: frozenset[str]
    old: dict[Option, Option]
    defaults: dict[Option, str]
    plain: dict[Option, bool]
    commands: dict[Option, bool]


def relied_on(minor: str) -> dict[Option, Value]:
    """Return what a cluster relies on and does not set."""
    settings = resolve(
        ClusterArguments(version=AirflowVersion.of(minor), image=AirflowImage.registry("acme"), dags=ImageDags())
    )
    return {
        option: value for _, given in relied_upon(settings, option_owners(settings)) for option, value in given.items()
    }


@pytest.fixture(scope="module", params=["3.3.2", "2.11.2"])
def airflow(request, tmp_path_factory) -> Airflow:
    """Ask one installed Airflow about every name that we know of any release."""
    minor = request.param.rpartition(".")[0]
    home = tmp_path_factory.mktemp("airflow")
    asked = {old: current_option(old, minor) or old for old in every_option()}
    sensitive = [option for option in known(minor) if every_option()[option].sensitive]
    relied = relied_on(minor)
    questions = {
        "defaults": list(relied),
        "plain": [(environment_name(*old), new) for old, new in asked.items()],
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
        plain=dict(zip(asked, answer["plain"], strict=True)),
        commands=dict(zip(sensitive, answer["commands"], strict=True)),
    )


def installed(airflow: Airflow) -> set[Option]:
    """Return the options that we know of a release, less those of providers that are not installed here."""
    return {option for option, facts in known(airflow.minor).items() if facts.provider in {None, *airflow.providers}}


def only_later(airflow: Airflow) -> set[Option]:
    """Return what is sensitive since Airflow 3.2 takes every fallback named "password" for a secret."""
    return {("atlas", "password")} if airflow.minor == "2.11" else set()


def test_every_option_of_airflow_is_known(airflow):
    """Airflow has no option that the file leaves out."""
    assert airflow.described - set(known(airflow.minor)) == set()


def test_every_known_option_is_airflows(airflow):
    """The file has no option that Airflow, or a provider installed beside it, does not have."""
    assert installed(airflow) - airflow.described == set()


def test_sensitive_options(airflow):
    """The options that Airflow masks are the ones that we refuse as text."""
    ours = {option for option in installed(airflow) if every_option()[option].sensitive}
    assert ours - only_later(airflow) == airflow.sensitive & installed(airflow)


def test_environment_names_set_options(airflow):
    """The environment variable that we name for an option sets it."""
    assert [option for option in known(airflow.minor) if not airflow.plain[option]] == []


def test_what_the_cluster_relies_on(airflow):
    """What the cluster relies on and does not set is Airflow's own default."""
    assert len(airflow.defaults) > 10
    assert airflow.defaults == relied_on(airflow.minor)


def test_commands_set_sensitive_options(airflow):
    """The command that we accept for a sensitive option is run."""
    ran = {option for option, was_run in airflow.commands.items() if was_run}
    ours = {option for option in installed(airflow) if every_option()[option].sensitive}
    assert ours - only_later(airflow) - ran == set()


def test_old_names_are_read_or_ignored(airflow):
    """An old name sets the new option exactly where the file says that it is still read."""
    merged = {
        "stalled_task_timeout",
        "task_adoption_timeout",
        "worker_pods_pending_timeout",
    }  # by the scheduler
    for old, facts in every_option().items():
        if airflow.minor not in facts.minors and old[1] not in merged and current_option(old, airflow.minor):
            assert airflow.plain[old] == (airflow.minor in facts.read), old


def test_every_old_name_is_known(airflow):
    """Each old name in Airflow's own table leads to its new name."""
    for old, new in airflow.old.items():
        if new in airflow.described:
            assert airflow.minor in every_option()[old].read, old
            assert current_option(old, airflow.minor) == new, old
