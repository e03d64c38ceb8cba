"""Appends the packages of the extra [local] to the path, behind all others."""

import sys

from places import EXTRA

sys.path.append(str(EXTRA))
