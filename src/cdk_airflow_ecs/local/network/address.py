"""Where one task lives."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAddress:
    """Where one task lives.

    Args:
        name: what :meth:`Addresses.add` was given.
        ip: its address; every other task reaches it there.
        hostname: what its processes are told.
        command_prefix: goes before each command of the task, its health checks included.
    """

    name: str
    ip: str
    hostname: str
    command_prefix: list[str] = field(default_factory=list)
