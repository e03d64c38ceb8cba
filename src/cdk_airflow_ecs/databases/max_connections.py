"""The number of connections that a PostgreSQL database on RDS or Aurora accepts. Pure.

Source: Amazon RDS user guide, "Quotas and constraints", ``max_connections``: DBInstanceClassMemory / 9531392, at most
5000.
"""

from __future__ import annotations

import re
from typing import Final

_BYTES_EACH: Final = 9_531_392
_MOST: Final = 5000
# DBInstanceClassMemory excludes the memory of the operating system and of RDS's processes. Aurora's documented limits
# are 84 % (189 at 2 GiB) to 93 % (1669 at 16 GiB) of the formula with all memory.
_AVAILABLE: Final = 0.83
_GIB: Final = 2**30
# Memory of the smallest sizes, and of "large" by family, in GiB (Amazon RDS user guide, "DB instance classes").
_SMALL: Final = {"micro": 1, "small": 2, "medium": 4}
_LARGE: Final = {"t": 8, "m": 8, "r": 16}


def connections_of_class(instance_class: str) -> int | None:
    """Return about how many connections an instance such as "db.t4g.small" accepts; None for other families."""
    match = re.fullmatch(r"db\.([tmr])\d[a-z-]*\.(micro|small|medium|large|(\d*)xlarge)", instance_class)
    if match is None:
        return None
    family, size, factor = match.groups()
    if size in _SMALL:
        return connections_of_memory(_SMALL[size]) if family == "t" else None
    return connections_of_memory(_LARGE[family] * (1 if size == "large" else 2 * int(factor or 1)))


def connections_of_memory(gib: float) -> int:
    """Return about how many connections an instance with this memory in GiB accepts."""
    return min(int(gib * _GIB * _AVAILABLE / _BYTES_EACH), _MOST)
