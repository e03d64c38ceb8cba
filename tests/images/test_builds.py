"""Generated Dockerfiles, checked by hadolint and pip."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cdk_airflow_ecs import AirflowVersion, CeleryExecutor, SqsBroker
from cdk_airflow_ecs.executors.base import ExecutorContext
from cdk_airflow_ecs.images.dockerfile import Recipe, dockerfile

REPOSITORY = Path(__file__).parents[2]
HADOLINT = shutil.which("hadolint", path=str(REPOSITORY / ".venv" / "bin"))
UV = REPOSITORY / ".venv" / "bin" / "uv"
LOCKS = REPOSITORY / "src/cdk_airflow_ecs/local/locks"
RELEASES = ("3.3.2", "2.11.2")
# Hadolint asks for a numeric user id, but that of "airflow" may differ between base images.
ACCEPTED = ("DL3066",)
BASES = ("official", "slim", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/airflow:1")
VARIANTS = [
    Recipe(
        version=version,
        base=base,
        packages=("git", "libpq5=15.14-0+deb12u1") if packages else (),
        requirements=requirements,
        folders=folders,
        entrypoint=("/usr/bin/dumb-init", "--", "/entrypoint.sh") if script else (),
    )
    for version, base, packages, requirements, folders, script in itertools.product(
        # Airflow 2.8, whose image has no constraints file, and 3.3; other releases differ only in versions and extras.
        (AirflowVersion.V2_8, AirflowVersion.V3_3),
        BASES,
        (False, True),
        ((), ("pandas",), ("pandas>=2", "dbt-core~=1.9")),
        ((), ("config", "plugins", "dags")),
        (False, True),
    )
]


def lint(folder: Path, texts: list[str]) -> str:
    """Return the findings of hadolint, without accepted rules."""
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"Dockerfile.{number}")
        files[-1].write_text(text)
    ignored = [word for rule in ACCEPTED for word in ("--ignore", rule)]
    run = subprocess.run(
        [HADOLINT, "--no-color", *ignored, *files], capture_output=True, text=True, check=False, cwd=folder
    )
    assert run.stderr == ""
    assert (run.returncode == 0) == (run.stdout == "")
    return run.stdout


@pytest.mark.skipif(HADOLINT is None, reason="not run: needs hadolint in .venv; make environments")
def test_hadolint_has_no_findings_in_any_dockerfile(tmp_path):
    """Hadolint has no findings in any variant of the generated Dockerfile."""
    texts = sorted({dockerfile(recipe) for recipe in VARIANTS})
    texts += [dockerfile(replace(VARIANTS[-1], version=v, base=b)) for v in AirflowVersion.ALL for b in BASES]
    assert len(texts) > 150
    assert lint(tmp_path, texts) == ""


@pytest.mark.skipif(HADOLINT is None, reason="not run: needs hadolint in .venv; make environments")
@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("# hadolint ignore=DL3008\n", "", "DL3008"),
        (" --no-cache-dir", "", "DL3042"),
        (" --no-install-recommends", "", "DL3015"),
        ("USER airflow", "USER root", "DL3002"),
    ],
)
def test_hadolint_detects_a_missing_precaution_in_a_dockerfile(tmp_path, before, after, rule):
    """If a precaution is removed from the generated Dockerfile, hadolint has a finding."""
    text = dockerfile(VARIANTS[-1])
    assert before in text
    assert rule in lint(tmp_path, [text.replace(before, after)])


def install(folder: Path, release: str, *requirements: str, constraint: str = "") -> subprocess.CompletedProcess[str]:
    """Run the pip command of a Dockerfile, unchanged, in an environment with *release*."""
    environment = REPOSITORY / ".venvs" / f"airflow-{release}" / "bin" / "python"
    recipe = Recipe(version=AirflowVersion.of(release), requirements=requirements)
    (command,) = re.findall(r"^RUN (.*pip install.*?[^\\])$", dockerfile(recipe), re.MULTILINE | re.DOTALL)
    home, bin_ = folder / "home", folder / "bin"
    for place in (home, bin_):
        place.mkdir()
    lock = (REPOSITORY / "requirements" / f"airflow-{release}.txt").read_text()
    pins = re.findall(r"^([\w.-]+==[^\s;\\]+)(.*?)\s*\\?$", lock, re.MULTILINE)
    (home / "constraints.txt").write_text("\n".join([*(pin + marker for pin, marker in pins), constraint, ""]))
    (home / "requirements.txt").write_text("\n".join(requirements))
    # This script runs pip on the environment of *release* with --dry-run, so that the environment does not change.
    (bin_ / "pip").write_text(
        f'#!/bin/sh\nverb="$1"; shift\n[ "$verb" = install ] && set -- --dry-run "$@"\n'
        f'exec "{sys.executable}" -m pip --python "{environment}" "$verb" "$@"\n'
    )
    (bin_ / "pip").chmod(0o755)
    places = {"/opt/airflow": home, "/tmp": folder}
    command = re.sub(r"(?<=[ \"])(/opt/airflow|/tmp)(?=/)", lambda found: str(places[found[0]]), command)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-o", "errexit", "-o", "nounset", "-c", command],
        env={"PATH": f"{bin_}:/usr/bin:/bin", "HOME": str(home), "AIRFLOW_VERSION": release, "PIP_NO_INPUT": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_requirements_override_constraints(tmp_path):
    """A package with a version in requirements.txt has no constraint, in any spelling of the package's name."""
    constraints = "Flask-AppBuilder==4.5.3\nflask-appbuilder-more==1.0\nPyYAML==6.0.2\nzope.event==5.0\n"
    (tmp_path / "constraints.txt").write_text(constraints)
    recipe = Recipe(version=AirflowVersion.V3_3, requirements=("flask_appbuilder>=4.6", "pyyaml", "Zope_Event~=5.1"))
    (command,) = re.findall(r"RUN (sed .*) > /tmp/constraints.txt", dockerfile(recipe))
    kept = subprocess.run(
        ["bash", "-c", command],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert kept.split() == ["flask-appbuilder-more==1.0", "PyYAML==6.0.2"]


def pip_tests(test):
    """Mark a test that queries the registry and needs environments with Airflow."""
    missing = [release for release in RELEASES if not (REPOSITORY / ".venvs" / f"airflow-{release}").exists()]
    skip = pytest.mark.skipif(bool(missing), reason=f"not run: needs Airflow {missing}; make environments")
    return pytest.mark.slow(skip(pytest.mark.parametrize("release", RELEASES)(test)))


@pip_tests
def test_pip_installs_the_version_in_requirements_txt_or_constraints(tmp_path, release):
    """A version in requirements.txt overrides the constraint; Airflow's packages are unchanged."""
    broker = CeleryExecutor(broker=SqsBroker())
    added = broker.plan(ExecutorContext(version=AirflowVersion.of(release))).requirements
    assert any(line.startswith("pycurl") for line in added)
    constraint = "xlsxwriter==3.2.0\ntinydb==4.7.0"
    run = install(tmp_path, release, "XlsxWriter", "tinydb~=4.8.0", *added, constraint=constraint)
    assert run.returncode == 0, run.stdout + run.stderr
    (line,) = re.findall(r"^Would install (.*)$", run.stdout, re.MULTILINE)
    installed = dict(name.lower().rsplit("-", 1) for name in line.split())
    assert installed.keys() == {"xlsxwriter", "tinydb"}
    assert installed["xlsxwriter"] == "3.2.0"
    assert installed["tinydb"].startswith("4.8.")


@pytest.mark.slow
@pytest.mark.parametrize("release", ["2.8.1", "3.3.2"])
def test_a_slim_image_has_the_packages_that_the_cluster_requires(release):
    """A slim image has the packages for brokers, databases, deferrable operators and sign-in.

    uv resolves, because pip needs two minutes in an empty environment.
    """
    (wanted,) = re.findall(
        r'"(apache-airflow\[.*)==', dockerfile(Recipe(version=AirflowVersion.of(release), base="slim"))
    )
    run = subprocess.run(
        [
            *(UV, "pip", "compile", "--no-header", "--no-annotate", "--constraint", LOCKS / f"{release}.txt"),
            *("--python-version", AirflowVersion.of(release).python, "-"),
        ],
        input=f"{wanted}=={release}",
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "does not have an extra" not in run.stderr
    installed = {line.partition("==")[0] for line in run.stdout.splitlines()}
    assert installed >= {"aiobotocore", "boto3", "celery", "psycopg2-binary", "redis", "statsd"}
    # Airflow 2.8 contains FAB itself.
    assert ("apache-airflow-providers-fab" in installed) == (release == "3.3.2")


@pytest.mark.parametrize("python", sorted({version.python for version in AirflowVersion.ALL}))
@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_packages_for_sqs_have_wheels_for_each_python_and_processor(tmp_path, python, processor):
    """The packages need wheels, because images have no compiler."""
    added = SqsBroker().plan(AirflowVersion.V2_11, ["default"]).requirements
    platform = ("--python-version", python, "--python-platform", f"{processor}-manylinux_2_36")
    run = subprocess.run(
        [
            *(REPOSITORY / ".venv/bin/uv", "pip", "install", "--dry-run", "--no-deps", "--only-binary", ":all:"),
            *(*platform, "--target", tmp_path, *added),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "pycurl" in run.stderr


@pip_tests
@pytest.mark.parametrize(
    ("requirement", "words"),
    [
        (
            "apache-airflow==2.10.5",
            r"user requested apache-airflow=={release}\n\s+The user requested apache-airflow==2\.10\.5",
        ),
        ("jinja2==2.11.3", "apache-airflow.* {release} depends on jinja2>="),
    ],
)
def test_a_requirement_that_conflicts_with_airflow_fails_the_build(tmp_path, release, requirement, words):
    """A conflict with Airflow fails the build."""
    run = install(tmp_path, release, requirement)
    assert run.returncode != 0
    assert re.search(words.format(release=re.escape(release)), run.stdout + run.stderr), run.stdout + run.stderr
    assert "ResolutionImpossible" in run.stderr
