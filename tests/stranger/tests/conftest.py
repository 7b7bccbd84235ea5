from __future__ import annotations

import sys
from pathlib import Path

# So that the tests also run from a checkout that was not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
