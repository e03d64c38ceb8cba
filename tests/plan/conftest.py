"""A plan is data: below this folder nothing may ask CDK anything, and every test can import ``plans``."""

import pytest


@pytest.fixture(autouse=True)
def _no_cdk(monkeypatch):
    """Fail whatever sends a message to CDK's kernel."""

    def refuse(*_: object) -> None:
        raise AssertionError("a plan must not ask CDK")

    monkeypatch.setattr("jsii._kernel.providers.process._NodeProcess.send", refuse)
