"""Kinds of images, and the Python interpreters and environments that replace them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cdk_airflow_ecs import AirflowVersion
from cdk_airflow_ecs.airflow_extras import extras_of
from cdk_airflow_ecs.images.dockerfile import Recipe, dockerfile
from cdk_airflow_ecs.local.images import interpreters as pythons
from cdk_airflow_ecs.local.images.build import read_image
from cdk_airflow_ecs.local.images.environments import Environments, _date
from cdk_airflow_ecs.local.images.image import ImageBuild, kind_of
from cdk_airflow_ecs.local.images.interpreters import Interpreter, choose
from cdk_airflow_ecs.local.images.official_extras import explain_missing
from cdk_airflow_ecs.local.refusal import Refusal
from cdk_airflow_ecs.local.up import Run, RunOptions

REPOSITORY = Path(__file__).parents[2]
LOCKS = REPOSITORY / "src/cdk_airflow_ecs/local/locks"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("apache/airflow:3.3.2-python3.12", "airflow"),
        ("docker.io/apache/airflow:slim-2.8.1-python3.11", "airflow"),
        ("apache/airflow:3.3.2@sha256:0123456789abcdef", "airflow"),
        ("apache/airflow:latest", None),
        ("ghcr.io/acme/airflow:3.3.2", None),
        ("postgres:14", "postgres"),
        ("public.ecr.aws/docker/library/postgres:17-alpine", "postgres"),
        ("redis:6", "redis"),
        ("public.ecr.aws/valkey/valkey:8.0", "redis"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/redis:1", None),
    ],
)
def test_official_images_are_recognized_by_name(name: str, kind: str | None):
    """Only names of official images are recognized."""
    assert kind_of(name) == kind


def test_an_image_that_is_not_official_is_refused():
    """An image that is not an official one is refused with its name and the remedy."""
    with pytest.raises(Refusal, match=r"ghcr\.io/acme/etl:7 is not supported.*--image ghcr\.io/acme/etl:7=DIR"):
        read_image("ghcr.io/acme/etl:7")


@pytest.mark.parametrize("version", AirflowVersion.ALL, ids=str)
@pytest.mark.parametrize("base", ["official", "slim"])
def test_dockerfiles_of_the_library_are_supported(tmp_path: Path, version: AirflowVersion, base: str):
    """The local runner supports every Dockerfile that this library writes."""
    recipe = Recipe(
        version=version,
        base=base,
        packages=("git", "libpq5"),
        requirements=("pandas<3", "celery[sqs]"),
        folders=("config", "plugins", "dags"),
        entrypoint=("/usr/bin/dumb-init", "--", "/entrypoint.sh"),
    )
    context(
        tmp_path, dockerfile(recipe), "requirements.txt", "entrypoint.sh", "config/a.py", "plugins/p.py", "dags/d.py"
    )
    parts = read_image("a label", ImageBuild(folder=tmp_path))
    assert (parts.version, parts.python) == (str(version), version.python)
    assert parts.packages == ("git", "libpq5")
    extras = (f"apache-airflow[{','.join(sorted(extras_of(str(version)).split(',')))}]",) if base == "slim" else ()
    assert parts.requirements == (*extras, tmp_path / "requirements.txt")
    assert parts.script == tmp_path / "entrypoint.sh"
    assert parts.entrypoint == recipe.entrypoint
    places = {(path.name, str(place)) for path, place in parts.files}
    assert places >= {(name, f"/opt/airflow/{name}") for name in ("config", "plugins", "dags")}
    assert parts.differences == ()


@pytest.mark.parametrize(
    ("airflow", "wanted", "locked", "have", "chosen"),
    [
        ("3.3.2", "3.12", True, ["3.11.7", "3.12.1", "3.13.0"], "3.12.1"),
        ("3.3.2", "3.12", True, ["3.10.1", "3.14.0"], "3.14.0"),
        ("2.11.2", "3.12", True, ["3.11.7", "3.13.0"], "3.11.7"),
        ("2.8.1", "3.8", True, ["3.8.18", "3.11.7"], "3.11.7"),
        ("2.8.2", "3.8", False, ["3.8.18", "3.11.7"], "3.8.18"),
    ],
)
def test_the_python_version_nearest_to_that_of_the_image_is_chosen(
    airflow: str, wanted: str, locked: bool, have: list[str], chosen: str
):
    """The image's Python version is chosen if installed, else the nearest that the Airflow release supports."""
    found = [Interpreter(Path(version), version) for version in have]
    assert choose(airflow, wanted, locked=locked, found=found).version == chosen


def test_the_error_without_a_suitable_python_has_a_remedy():
    """If no installed Python is suitable, the error has the required and installed versions and the remedy."""
    found = [Interpreter(Path("a"), "3.13.0")]
    with pytest.raises(Refusal, match=r"Python 3\.11 to 3\.12; installed: 3\.13.*uv python install 3\.12"):
        choose("2.11.2", "3.12", locked=True, found=found)


def test_the_search_finds_the_python_interpreter_of_this_process():
    """The search finds this process's interpreter, but none of a virtual environment."""
    found = pythons.installed()
    assert found
    for python in found:
        assert not (python.path.parent.parent / "pyvenv.cfg").exists()
        done = subprocess.run([python.path, "--version"], capture_output=True, text=True, check=True).stdout
        assert done.split()[1] == python.version


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a uv on PATH that records its arguments and creates an empty environment."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "uv"
    program.write_text(f"""#!/bin/sh
echo "$@" >> {tmp_path}/calls
case "$1 $2" in
    "venv "*) for last; do :; done; mkdir -p "$last/bin"; touch "$last/bin/python";;
    "pip freeze") printf 'pandas==1.0\\nnumpy==2.0\\n';;
    "pip install") case "$*" in *constraints.txt*) for last; do :; done
        grep -qs conflict "${{last%/*}}/requirements.txt" && {{ echo "conflicting pins" >&2; exit 1; }};; esac
        for file; do if grep -qs -e broken -- "$file"; then echo "no solution" >&2; exit 1; fi; done;;
esac
""")
    program.chmod(0o755)
    monkeypatch.setattr("cdk_airflow_ecs.local.images.environments.sys.executable", str(folder / "python"))
    found = [Interpreter(Path("/python3.12"), "3.12.1"), Interpreter(Path("/python3.11"), "3.11.1")]
    monkeypatch.setattr(pythons, "installed", lambda: found)
    return tmp_path / "calls"


def test_an_official_image_is_installed_from_its_lock_file(tmp_path: Path, uv: Path):
    """An environment is installed once from the release's lock file, with hashes, and reused by the next run."""
    done: list[str] = []
    made = [Environments(tmp_path / "cache", done.append).of("apache/airflow:3.3.2-python3.12") for _ in range(2)]
    assert made[0] == made[1]
    (difference,) = made[0].substitutions
    assert "more extras (async, cncf-kubernetes, " in difference
    assert "--extras NAME,NAME" in difference
    assert done == ["installing Airflow 3.3.2 for Python 3.12, once"]
    calls = uv.read_text().splitlines()
    assert len(calls) == 2
    assert "--python /python3.12" in calls[0]
    assert calls[1].startswith("pip sync")
    assert f"--require-hashes {LOCKS}/3.3.2.txt" in calls[1]
    assert made[0].path.split(":")[0] == str(made[0].python.parent)


def test_a_release_without_a_lock_file_is_resolved_by_its_date(tmp_path: Path, uv: Path):
    """A release without a lock file gets package versions of its release date, except known broken ones."""
    environment = Environments(tmp_path / "cache").of("apache/airflow:2.9.3-python3.12")
    assert environment.airflow_version == "2.9.3"
    calls = uv.read_text()
    assert "--exclude-newer 2024-07-17" in calls
    assert "apache-airflow[aiobotocore,amazon,celery,http,postgres,redis,statsd]==2.9.3" in calls
    assert "apache-airflow-providers-celery!=3.16.0,!=3.17.0,!=3.17.1" in calls


def test_additional_requirements_keep_the_versions_of_other_packages(tmp_path: Path, uv: Path):
    """Additional requirements do not change other packages, and are installed in a separate environment."""
    folder = tmp_path / "context"
    text = "FROM apache/airflow:3.3.2-python3.12\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\n"
    context(folder, text, "requirements.txt")
    (folder / "requirements.txt").write_text("# ours\npandas<3\n")
    environments = Environments(tmp_path / "cache")
    environment = environments.of("label", ImageBuild(folder=folder))
    home = environment.bin.parent
    assert (home / "requirements.txt").read_text().split() == ["apache-airflow==3.3.2", "pandas<3"]
    assert (home / "constraints.txt").read_text() == "numpy==2.0"
    assert environment.bin != environments.of("apache/airflow:3.3.2-python3.12").bin
    (folder / "requirements.txt").write_text("broken")
    for _ in range(2):  # an incomplete environment is not reused
        with pytest.raises(Refusal, match="`uv pip install` failed:\nno solution"):
            environments.of("label", ImageBuild(folder=folder))


def test_requirements_that_conflict_with_the_lock_file_are_installed(tmp_path: Path, uv: Path):
    """Requirements that conflict with the lock file are resolved with packages of the release date."""
    folder = tmp_path / "context"
    context(folder, "FROM apache/airflow:3.3.2\nRUN pip install conflict==1\n")
    done: list[str] = []
    Environments(tmp_path / "cache", done.append).of("label", ImageBuild(folder=folder))
    assert "resolved together" in done[-1]
    last = uv.read_text().splitlines()[-1]
    assert "apache-airflow[" in last
    assert "--exclude-newer 2026-09-18" in last
    assert "-r " in last
    assert "constraints.txt" not in last


def test_files_of_the_image_are_copied_to_the_home_of_the_container(tmp_path: Path, uv: Path):
    """Files and folders of the image are copied to the same relative path in the container's home."""
    text = "FROM apache/airflow:3.3.2\nCOPY plugins/ /opt/airflow/plugins/\nCOPY a.cfg /opt/airflow/airflow.cfg\n"
    context(tmp_path / "context", text, "plugins/sub/p.py", "a.cfg")
    environment = Environments(tmp_path / "cache").of("label", ImageBuild(folder=tmp_path / "context"))
    for _ in range(2):
        environment.prepare(tmp_path / "home")
    assert (tmp_path / "home/plugins/sub/p.py").is_file()
    assert (tmp_path / "home/airflow.cfg").is_file()


def test_a_python_version_other_than_that_of_the_image_is_reported(tmp_path: Path, uv: Path):
    """If the environment has another Python version than the image, the difference is reported."""
    environment = Environments(tmp_path / "cache").of("apache/airflow:slim-2.8.1-python3.8")
    assert environment.substitutions == ("the image has Python 3.8; the local environment has 3.11.1",)


def test_additional_extras_have_a_separate_environment(tmp_path: Path, uv: Path):
    """Additional extras get a separate environment with packages of the release date; slim images ignore extras."""
    environments = Environments(tmp_path / "cache", extras=["virtualenv", "google", "pandas"])
    made = environments.of("apache/airflow:3.3.2-python3.12")
    calls = uv.read_text()
    assert "pip sync" not in calls
    assert "--exclude-newer 2026-09-18" in calls
    assert f"apache-airflow[{extras_of('3.3.2')},google,pandas]==3.3.2 virtualenv" in calls
    assert "flask-session" not in calls
    assert made.bin != Environments(tmp_path / "cache").of("apache/airflow:3.3.2-python3.12").bin
    assert not any("google" in each for each in made.substitutions)
    slim = environments.of("apache/airflow:slim-3.3.2-python3.12")
    assert slim.substitutions == ()
    with pytest.raises(Refusal, match=r"--extras nothing: .*snowflake"):
        Environments(tmp_path / "cache", extras=["nothing"])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import pandas", "--extras pandas"),
        ("from snowflake.connector import connect", "--extras snowflake"),
        ("import airflow.providers.microsoft.azure.hooks", "--extras microsoft-azure"),
    ],
)
def test_the_error_of_a_failed_import_names_the_extra_to_install(tmp_path: Path, code: str, words: str):
    """A failed import of a module that the official image has names the extra; other imports fail as usual."""
    explain_missing(tmp_path, "3.3.2")
    (tmp_path / "airflow/providers/microsoft").mkdir(parents=True)
    probe = f"""
import site; site.addsitedir({str(tmp_path)!r})
from importlib.util import find_spec
assert find_spec("pandas") is None
try:
    import nothing_of_this_name
except ModuleNotFoundError as error:
    assert "airflow-ecs" not in str(error)
try:
    {code}
except ImportError as error:
    assert error.name in {code!r}
    print(error)
"""
    done = subprocess.run([sys.executable, "-S", "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "The official image of Airflow 3.3.2 has it, but this local environment does not" in done.stdout
    assert words in done.stdout


def test_lock_files_pin_airflow_with_hashes():
    """Each lock file pins its Airflow with hashes, names no registry, and equals the lock file for tests."""
    names = {path.stem for path in LOCKS.glob("*.txt")}
    assert names == {"3.3.2", "2.11.2", "2.8.1"}
    for name in names:
        text = (LOCKS / f"{name}.txt").read_text()
        assert f"apache-airflow=={name} \\" in text
        # The amazon provider's deferrable operators need aiobotocore, which the official images have.
        assert re.search("^aiobotocore==", text, re.M)
        assert "://" not in text
        assert all("--hash=" in part for part in re.split(r"\n(?=\S)", text.strip()) if not part.startswith("#"))
    for name in ("3.3.2", "2.11.2"):
        assert (REPOSITORY / f"requirements/airflow-{name}.txt").samefile(LOCKS / f"{name}.txt")


def test_the_image_of_an_ecs_task_is_checked_at_start(tmp_path: Path):
    """The image of a task added with `add_ecs_task` is checked when the local cluster starts."""
    done: list[tuple[str, str]] = []
    run = Run(RunOptions(path=tmp_path, state=tmp_path), lambda about, text: done.append((about, text)))
    run.files, run.environments = (), Environments(tmp_path / "cache")
    assert isinstance(run.image("acme/etl:1").exception(120), Refusal)
    assert [about for about, _ in done] == ["acme/etl:1"]
    assert "--image acme/etl:1=DIR" in done[0][1]


def test_every_supported_release_has_a_release_date():
    """releases.json has the date of every release."""
    assert all(_date(str(version)) for version in AirflowVersion.ALL)
    assert _date("3.99.0") == ""


def context(folder: Path, text: str, *files: str) -> None:
    """Write a Dockerfile and files beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(text)
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(os.fspath(name))
