"""The scan for secrets finds planted secrets, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import quote
from uuid import uuid4

import pytest
from cluster import eventually, remove
from secrets_scan import Scan, logs_of, open_to_others, secrets_of

# Random, because a scan also reads the processes of parallel tests.
PLANTED, PASSWORD = f"planted/{uuid4()}+secret", f"a-password-of-{uuid4()}"
TOKEN = "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiI0NzExIn0." + "a" * 40


@pytest.fixture
def state():
    """Create a state directory with two secrets in a folder that others can enter."""
    folder = Path(mkdtemp(prefix="scan-", dir="/tmp"))
    folder.chmod(0o755)
    made = folder / "state"
    (made / "logs").mkdir(parents=True, mode=0o700)
    fields = json.dumps({"username": "airflow", "password": PASSWORD})
    (made / "secrets.json").write_text(json.dumps({"secret/one": PLANTED, "postgres/two": fields}))
    made.chmod(0o700)
    yield made
    remove(folder)


def scan(state: Path) -> Scan:
    """Scan a state directory and the folder around it."""
    return Scan(state, places=lambda found: [found.parent])


def findings(found: Scan) -> list[str]:
    """Return the findings, except for tokens in command lines of other programs."""
    return [each for each in found.findings() if not (each.startswith("command line: ") and each.endswith(": a token"))]


def test_the_scan_reads_secrets_from_the_state_directory(state):
    """Plain secrets and password fields in JSON count as secrets; user names do not."""
    assert secrets_of(state) == {"secret/one": PLANTED, "postgres/two.password": PASSWORD}


def test_the_scan_finds_nothing_without_secrets(state):
    """The scan has no findings for a private state directory and logs without secrets."""
    (state / "logs" / "worker.log").write_text("it works")
    found = scan(state)
    for kind, name, text in logs_of(state):
        found.add(kind, name, text)
    assert findings(found) == []
    assert found.looked_at["secrets"] == 2
    assert found.looked_at["log of a container or store"] == 1


@pytest.mark.parametrize(
    "written", [PLANTED, quote(PLANTED, safe=""), f"redis://:{PASSWORD}@host"], ids=["as it is", "quoted", "in a URL"]
)
def test_a_secret_in_a_log_is_found(state, written):
    """A plain or URL-quoted secret in a log is found, and the finding contains only the secret's name."""
    (state / "logs" / "worker.log").write_text(f"it works\nwith {written} in it\n")
    found = scan(state)
    for kind, name, text in logs_of(state):
        found.add(kind, name, text)
    (finding,) = findings(found)
    assert finding.startswith("log of a container or store: worker.log: ")
    assert written not in finding


def test_a_secret_in_a_command_line_is_found_after_the_process_ended(state):
    """A secret in a command line is found even after the process has ended."""
    words = [sys.executable, "-c", "input()", PLANTED]
    with scan(state) as found, subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        eventually(lambda: any(PLANTED in line for line in list(found._lines)), 60)
        process.communicate(b"\n")
    (finding,) = findings(found)
    assert finding.startswith("command line: ")
    assert "<secret/one>" in finding
    assert PLANTED not in finding


def test_a_secret_in_a_readable_file_is_found(state):
    """A secret in a readable file is found even after its deletion; one in a private file is not."""
    private, public = state.parent / "private", state.parent / "public"
    with scan(state) as found:
        private.touch(mode=0o600)
        private.write_text(PASSWORD)
        public.write_text(PASSWORD)
        public.chmod(0o644)
        eventually(lambda: any(public.name in line for line in findings(found)), 60)
        public.unlink()
    assert findings(found) == [f"file that others can read: {public}: postgres/two.password"]


def test_a_signed_airflow_token_is_found(state):
    """A signed token of Airflow is found."""
    found = scan(state)
    found.add("event in CloudWatch", "group stream 1", f"Authorization: Bearer {TOKEN}")
    assert findings(found) == ["event in CloudWatch: group stream 1: a token"]


def test_a_file_in_a_private_folder_is_private(tmp_path):
    """A readable file in a private folder is not open to others."""
    folder = Path(mkdtemp(prefix="scan-", dir="/tmp"))
    try:
        file = folder / "file"
        file.write_text("text")
        file.chmod(0o644)
        assert not open_to_others(file)
        folder.chmod(0o755)
        assert open_to_others(file)
    finally:
        remove(folder)
