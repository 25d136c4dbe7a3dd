"""Measure. Every number stands beside its opponent's, taken in turns with it, in the same run on the same machine."""

import sys
from pathlib import Path

# The tests' plain modules start real gateways and databases; here the same ones are measured.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
