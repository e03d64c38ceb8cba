"""Pytest puts the folder of a conftest on the path, so every test below it can import ``servers`` and ``synthesis``."""

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

# jsii starts Node.js when aws_cdk is imported, so all of this must be said before. CDK's validator costs each process
# seconds; one test runs it on purpose.
os.environ["CDK_VALIDATION"] = "false"
os.environ["PATH"] = f"{Path(__file__).parents[1] / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"

# A machine that stands still for a moment is no finding.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

# The groups that take minutes, longest first.
LONG = ("airflow", "emulator", "examples", "synth", "types")


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that processes side by side end together: groups, then single slow tests."""

    def place(item):
        group = item.get_closest_marker("xdist_group")
        if group is not None:
            return LONG.index(group.args[0]) if group.args[0] in LONG else len(LONG)
        return len(LONG) + (1 if any(item.iter_markers("slow")) or any(item.iter_markers("airflow")) else 2)

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter):
    """Name every test that did not run and why: a missing tool must never look like a success."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"NOT RUN {report.nodeid}: {reason}")


def pytest_sessionfinish(session):
    """In CI everything is installed, so a test that did not run has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = 1
