"""A macro for templates: {{ macros.weekdays.is_workday(ds) }}."""

from datetime import date

from airflow.plugins_manager import AirflowPlugin


def is_workday(day: str) -> bool:
    """Return whether a day such as "2026-11-23" is from Monday to Friday."""
    return date.fromisoformat(day).weekday() < 5


class Weekdays(AirflowPlugin):
    """Add the macro to all templates."""

    name = "weekdays"
    macros = [is_workday]
