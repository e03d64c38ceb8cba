"""Schedules of scheduled actions: `at(…)`, `rate(…)` and `cron(…)` with a time zone."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

_MONTHS: Final = {name: place for place, name in enumerate(map(str.upper, calendar.month_abbr)) if name}
_DAYS: Final = {name: place for place, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_UNITS: Final = {"minute": 60, "hour": 3600, "day": 86400}
_HORIZON: Final = 366 * 5  # days in which the next time is searched


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The schedule of a scheduled action; *start* and *end* are in UTC.

    Examples:
        >>> night = Schedule.parse("cron(0 20 ? * MON-FRI *)", zone="Europe/Berlin")
        >>> night.after(datetime(2026, 7, 3, 12, tzinfo=timezone.utc)).isoformat()
        '2026-07-03T18:00:00+00:00'
        >>> night.after(datetime(2026, 7, 3, 18, tzinfo=timezone.utc)).isoformat()
        '2026-07-06T18:00:00+00:00'
    """

    expression: str
    zone: ZoneInfo
    created: datetime
    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def parse(
        cls,
        expression: str,
        *,
        zone: str | None = None,
        created: datetime | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Schedule:
        """Return a schedule; raises a ValueError if the expression is invalid or not supported."""
        made = cls(
            expression=expression,
            zone=ZoneInfo(zone or "UTC"),
            created=created or datetime.now(timezone.utc),
            start=start,
            end=end,
        )
        made._next(made.created)
        return made

    def after(self, moment: datetime) -> datetime | None:
        """Return the next time after *moment*, in UTC; None if there is none."""
        if self.start and moment < self.start and not self.expression.startswith("at("):
            return self.start  # the action also runs at its start time
        found = self._next(moment)
        return found if found and not (self.end and found > self.end) else None

    def _next(self, moment: datetime) -> datetime | None:
        match = re.fullmatch(r"(at|rate|cron)\((.*)\)", self.expression.strip())
        if not match:
            raise ValueError(f"the schedule {self.expression} must be at(…), rate(…) or cron(…)")
        kind, text = match.groups()
        if kind == "at":
            at = datetime.fromisoformat(text).replace(tzinfo=self.zone).astimezone(timezone.utc)
            return at if at > moment else None
        if kind == "rate":
            return self._next_of_rate(text, moment)
        return next((at for at in self._of_cron(text, moment) if at > moment), None)

    def _next_of_rate(self, text: str, moment: datetime) -> datetime:
        match = re.fullmatch(r"(\d+) (minute|hour|day)s?", text)
        if not match or not int(match[1]):
            raise ValueError(f"the schedule {self.expression} must be like rate(5 minutes)")
        step = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
        first = self.start or self.created
        passed = (moment - first) // step + 1
        return first + max(passed, 1 if first == self.created else 0) * step

    def _of_cron(self, text: str, moment: datetime) -> Iterator[datetime]:
        fields = text.split()
        if len(fields) != 6:
            raise ValueError(f"the schedule {self.expression} must have six fields, got {len(fields)}")
        minutes, hours = _numbers(fields[0], 0, 59), _numbers(fields[1], 0, 23)
        months, years = _numbers(fields[3], 1, 12, _MONTHS), _numbers(fields[5], 1970, 2199)
        day = moment.astimezone(self.zone).date() - timedelta(
            days=1
        )  # one day earlier, because time zones can skip a day
        for _ in range(_HORIZON):
            day += timedelta(days=1)
            if day.year in years and day.month in months and _is_day(day, fields[2], fields[4]):
                for hour in sorted(hours):
                    for minute in sorted(minutes):
                        local = datetime.combine(day, time(hour, minute), self.zone)
                        yield local.astimezone(timezone.utc)


def _is_day(day: date, of_month: str, of_week: str) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    is_of_month = day.day == last if of_month == "L" else day.day in _numbers(of_month, 1, 31)
    number = day.isoweekday() % 7 + 1  # in cron, Sunday is 1
    if match := re.fullmatch(r"(\w+)(?:#([1-5])|(L))", of_week):
        is_place = day.day > last - 7 if match[3] else (day.day - 1) // 7 + 1 == int(match[2])
        return is_of_month and number in _numbers(match[1], 1, 7, _DAYS) and is_place
    return is_of_month and number in _numbers("SAT" if of_week == "L" else of_week, 1, 7, _DAYS)


def _numbers(field: str, least: int, most: int, names: dict[str, int] | None = None) -> set[int]:
    """Return the numbers that a cron field allows, such as `*`, `?`, `1,3`, `MON-FRI` or `0/15`."""
    found: set[int] = set()
    for part in field.upper().split(","):
        span, _, step = part.partition("/")
        first, _, end = span.partition("-")
        if first in ("*", "?"):
            low, high = least, most
        else:
            low = _number(first, names)
            high = _number(end, names) if end else most if step else low
        if not (least <= low <= most and least <= high <= most) or (step and not step.isdecimal()):
            raise ValueError(f"the field {field} of a schedule must have values from {least} to {most}")
        numbers = range(low, high + 1) if low <= high else [*range(low, most + 1), *range(least, high + 1)]
        found |= set(numbers[:: int(step or 1)])
    return found


def _number(text: str, names: dict[str, int] | None) -> int:
    if names and text in names:
        return names[text]
    if not text.isdecimal():
        raise ValueError(f"{text} is not supported in a schedule")
    return int(text)
