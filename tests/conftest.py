"""What holds for all tests."""

import os

from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:
    # One thread for each of the processes side by side: two that share two cores with two threads each wait
    # for one another at every turn, and take five times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no fault: what must be fast is measured on purpose, elsewhere.
settings.register_profile("easel", deadline=None)
settings.load_profile("easel")
