"""Settings for every test. pytest adds this folder to the import path, so tests can import its modules."""

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

# Skip CDK's validation, which takes seconds; one test enables it. Set before aws_cdk is imported, which starts Node.js.
os.environ["CDK_VALIDATION"] = "false"
os.environ["PATH"] = f"{Path(__file__).parents[1] / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"

# A slow machine must not fail a test.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

# The xdist groups of tests that take minutes, longest first.
LONG = ("airflow", "emulator", "examples", "synth", "types")


def pytest_collection_modifyitems(items):
    """Run slow groups and tests first, so that parallel processes end together."""

    def place(item):
        group = item.get_closest_marker("xdist_group")
        if group is not None:
            return LONG.index(group.args[0]) if group.args[0] in LONG else len(LONG)
        return len(LONG) + (1 if any(item.iter_markers("slow")) or any(item.iter_markers("airflow")) else 2)

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter):
    """Print each skipped test with its reason, so that missing tools are visible."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"NOT RUN {report.nodeid}: {reason}")


def pytest_sessionfinish(session):
    """Fail the run in CI if a test was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = 1
