"""A macro for templates: {{ macros.weekdays.is_workday(ds) }}."""

from datetime import date

from airflow.plugins_manager import AirflowPlugin


def is_workday(day: str) -> bool:
    """Say whether a day such as "2026-11-23" is one from Monday to Friday."""
    return date.fromisoformat(day).weekday() < 5


class Weekdays(AirflowPlugin):
    """Offer the macro to every template."""

    name = "weekdays"
    macros = [is_workday]
