"""One emulated AWS account for all deploy tests; each test module deploys its own stacks."""

import pytest

from .server import ACCOUNT, REGION, Emulator


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    """Start the emulator and bootstrap its account with `cdk bootstrap`."""
    folder = tmp_path_factory.mktemp("emulator")
    with Emulator(folder / "server.log") as running:
        done = running.cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        yield running
