"""Gives a Python process another clock: `PYTHONPATH` names this folder, `CLOCK_SHIFT_S` how many seconds it is off.

libfaketime would do it for a whole process, but librdkafka's waits then never end: its absolute times are not the kernel's.
"""

import os
import time

_SHIFT_S = float(os.environ.get("CLOCK_SHIFT_S", "0"))
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _SHIFT_S
time.time_ns = lambda: _time_ns() + int(_SHIFT_S * 1e9)
