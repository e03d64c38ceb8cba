"""Appends the packages of the extra [local] to the end of the import path."""

import sys

from places import EXTRA

sys.path.append(str(EXTRA))
