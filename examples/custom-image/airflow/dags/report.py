"""A daily spreadsheet, written with a package that the official image lacks."""

from datetime import datetime
from pathlib import Path

from airflow.sdk import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False)
def report():
    """Write the day's numbers."""

    @task
    def write(is_workday: str) -> str:
        from xlsxwriter import Workbook  # imported only when the task runs, so that parsing stays fast

        file = Path("/tmp/report.xlsx")
        with Workbook(file) as book:
            book.add_worksheet().write_row(0, 0, ["is a workday", is_workday])
        return str(file)

    write("{{ macros.weekdays.is_workday(ds) }}")


report()
