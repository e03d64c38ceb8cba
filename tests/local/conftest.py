"""What the extra [local] installs is found behind everything else, so that these tests run with all others."""

import sys

from places import EXTRA

sys.path.append(str(EXTRA))
