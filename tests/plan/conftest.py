"""Fixtures for plan tests, which must not call CDK."""

import pytest


@pytest.fixture(autouse=True)
def _no_cdk(monkeypatch):
    """Fail each test that calls CDK's jsii kernel."""

    def refuse(*_: object) -> None:
        raise AssertionError("a plan must not ask CDK")

    monkeypatch.setattr("jsii._kernel.providers.process._NodeProcess.send", refuse)
