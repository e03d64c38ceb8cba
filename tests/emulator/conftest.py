"""One emulated account for all of these tests; each module deploys stacks of its own into it."""

import pytest

from .server import ACCOUNT, REGION, Emulator


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    """The running emulator, its account bootstrapped by the real command."""
    folder = tmp_path_factory.mktemp("emulator")
    with Emulator(folder / "server.log") as running:
        done = running.cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        yield running
