"""Puts the packages of the extra [local] at the end of the path, so that these tests run with all others."""

import sys

from places import EXTRA

sys.path.append(str(EXTRA))
