"""Options in an image's airflow.cfg keep their values as environment variables."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from cdk_airflow_ecs import AirflowImage
from cdk_airflow_ecs.options import environment_name

REPOSITORY = Path(__file__).parents[2]
FILE = """\
# Everything that a file can do.
[core]
parallelism = 7
default_timezone: Europe/Berlin
max_templated_field_length=64
[logging]
log_format = [%%(asctime)s] %%(message)s
base_log_folder = $HOME/logs
[email]
from_email =   spaced@example.com
html_content_template =
[reports]
sender = team
address = %(sender)s@example.com
lines = one
    two
[common.io]
xcom_objectstorage_path = s3://conn@bucket/key
[under_score.dot]
key = ; no comment
"""
READ = """\
import json, sys
from airflow.configuration import conf
print("READ" + json.dumps([conf.get(*option) for option in json.loads(sys.argv[1])]))
"""


def read(release: str, home: Path, options: list[list[str]], variables: dict[str, str]) -> list[str]:
    """Return the values that Airflow reads in *home* with *variables*."""
    run = subprocess.run(
        [REPOSITORY / ".venvs" / f"airflow-{release}" / "bin" / "python", "-c", READ, json.dumps(options)],
        env={"AIRFLOW_HOME": str(home), "HOME": "/home/airflow", "PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.partition("READ")[2])


@pytest.mark.airflow
@pytest.mark.parametrize("release", ["3.3.2", "2.11.2"])
def test_environment_variables_keep_the_values_of_airflow_cfg(release, tmp_path):
    """Airflow reads the same values from airflow.cfg and from variables, even with interpolation or several lines."""
    if not (REPOSITORY / ".venvs" / f"airflow-{release}").exists():
        pytest.skip(f"not run: needs .venvs/airflow-{release}; make environments")
    (tmp_path / "airflow.cfg").write_text(FILE)
    options = AirflowImage.build(tmp_path).source.options
    names = [list(option) for option in options]
    (tmp_path / "empty").mkdir()
    variables = {environment_name(*option): value for option, value in options.items()}
    from_file = read(release, tmp_path, names, {})
    assert read(release, tmp_path / "empty", names, variables) == from_file
    found = dict(zip(options, from_file, strict=True))
    assert found["logging", "log_format"] == "[%(asctime)s] %(message)s"
    assert found["reports", "address"] == "team@example.com"
    assert found["logging", "base_log_folder"] == "/home/airflow/logs"
    assert len(found) == 12
