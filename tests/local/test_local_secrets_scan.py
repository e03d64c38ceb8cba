"""The scan for secrets finds one that was put there on purpose, wherever it is, and none where there is none."""

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

# A scan looks at every process of the machine: tests beside this one must not find its secrets in theirs.
PLANTED, PASSWORD = f"planted/{uuid4()}+secret", f"a-password-of-{uuid4()}"
TOKEN = "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiI0NzExIn0." + "a" * 40


@pytest.fixture
def state():
    """A state directory with two secrets, in a folder that others may enter."""
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
    """A scan of a state directory and of the folder around it."""
    return Scan(state, places=lambda found: [found.parent])


def told(found: Scan) -> list[str]:
    """What is found, but for tokens that other programs of this machine have in their command lines."""
    return [each for each in found.findings() if not (each.startswith("command line: ") and each.endswith(": a token"))]


def test_secrets_are_known(state):
    """Texts, and the passwords of those that are JSON; not the names of users."""
    assert secrets_of(state) == {"secret/one": PLANTED, "postgres/two.password": PASSWORD}


def test_nothing_is_found_where_nothing_is(state):
    """A state directory that others cannot enter may hold secrets; logs without any are no findings."""
    (state / "logs" / "worker.log").write_text("it works")
    found = scan(state)
    for kind, name, text in logs_of(state):
        found.add(kind, name, text)
    assert told(found) == []
    assert found.looked_at["secrets"] == 2
    assert found.looked_at["log of a container or store"] == 1


@pytest.mark.parametrize(
    "written", [PLANTED, quote(PLANTED, safe=""), f"redis://:{PASSWORD}@host"], ids=["as it is", "quoted", "in a URL"]
)
def test_a_log_line_is_found(state, written):
    """As it is, or quoted in a URL; the finding names the secret and does not repeat it."""
    (state / "logs" / "worker.log").write_text(f"it works\nwith {written} in it\n")
    found = scan(state)
    for kind, name, text in logs_of(state):
        found.add(kind, name, text)
    (finding,) = told(found)
    assert finding.startswith("log of a container or store: worker.log: ")
    assert written not in finding


def test_a_command_line_is_found_after_its_process_ended(state):
    """Whoever's process it was."""
    words = [sys.executable, "-c", "input()", PLANTED]
    with scan(state) as found, subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        eventually(lambda: any(PLANTED in line for line in list(found._lines)), 60)
        process.communicate(b"\n")
    (finding,) = told(found)
    assert finding.startswith("command line: ")
    assert "<secret/one>" in finding
    assert PLANTED not in finding


def test_a_file_is_found_that_others_can_read(state):
    """Also if it is gone when the run ends; one that others cannot read is none of theirs."""
    private, public = state.parent / "private", state.parent / "public"
    with scan(state) as found:
        private.touch(mode=0o600)
        private.write_text(PASSWORD)
        public.write_text(PASSWORD)
        public.chmod(0o644)
        eventually(lambda: any(public.name in line for line in told(found)), 60)
        public.unlink()
    assert told(found) == [f"file that others can read: {public}: postgres/two.password"]


def test_a_token_is_found(state):
    """A signed token of Airflow is as good as a secret."""
    found = scan(state)
    found.add("event in CloudWatch", "group stream 1", f"Authorization: Bearer {TOKEN}")
    assert told(found) == ["event in CloudWatch: group stream 1: a token"]


def test_a_closed_folder_keeps_its_files(tmp_path):
    """Every folder on the way counts, not the file alone."""
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
