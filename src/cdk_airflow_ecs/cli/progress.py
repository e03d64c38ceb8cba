"""Progress of a start: a live line per component, or plain lines without a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from cdk_airflow_ecs.local.agent.service import Service


class Board(AbstractContextManager["Board"]):
    """Shows the progress of a start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._last: dict[str, str] = {}
        self._ready: dict[str, float] = {}
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> Board:
        if self._live:
            self._live.start()
            self._live.update(Spinner("dots", "creating resources"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def say(self, about: str, text: str) -> None:
        """Print a line, unless it repeats the last line with the same *about*."""
        if self._last.get(about) != text:
            self._last[about] = text
            self._console.print(Text(f"{self._seconds()}  {about}: {text}"))

    def show(self, services: Sequence[Service]) -> None:
        """Show the current state of the components."""
        lines = {service.title: self._line(service) for service in services}
        if self._live:
            table = Table.grid(padding=(0, 2))
            for title, line in lines.items():
                mark: Text | Spinner = Text("✓", "green") if title in self._ready else Spinner("dots")
                table.add_row(mark, title, line)
            self._live.update(Group(table))
            return
        for title, line in lines.items():
            self.say(title, line.rpartition(" after ")[0] or line)

    def _line(self, service: Service) -> str:
        if service.is_steady:
            self._ready.setdefault(service.title, time.monotonic() - self._began)
            return f"ready after {self._ready[service.title]:.0f} s"
        self._ready.pop(service.title, None)
        states = sorted({task.status.lower() if not task.is_ready else "ready" for task in service.tasks})
        died = f", {service.deaths} died" if service.deaths else ""
        return (", ".join(states) or "waits") + died

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._began:5.1f} s"
