"""The steps of a step scaling policy that sets an exact capacity. Pure."""

from __future__ import annotations

from itertools import count
from typing import Final

# Application Auto Scaling quotas, "Step adjustments per step scaling policy".
MOST_STEPS: Final = 20


def capacities(low: int, high: int) -> tuple[int, ...]:
    """Return at most twenty numbers of workers from *low* to *high*.

    The policy rounds the required number up to one of these. All numbers from *low* are included if possible; otherwise
    the gaps grow with the numbers, so that the relative excess is as small as possible.

    Examples:
        >>> capacities(0, 5)
        (0, 1, 2, 3, 4, 5)
        >>> capacities(0, 40)
        (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 19, 22, 25, 29, 33, 38, 40)
    """
    return next(found for percent in count(100) if len(found := _spread(low, high, percent)) <= MOST_STEPS)


def _spread(low: int, high: int, percent: int) -> tuple[int, ...]:
    """Return numbers from *low* to *high*, of which none exceeds a number that is rounded up to it by more."""
    found = [low]
    while found[-1] < high:
        found.append(min(high, (found[-1] + 1) * percent // 100))
    return tuple(found)
