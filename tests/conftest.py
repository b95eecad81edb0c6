"""What holds for all tests."""

from hypothesis import settings

# A busy machine is no fault: what must be fast is measured on purpose, elsewhere.
settings.register_profile("easel", deadline=None)
settings.load_profile("easel")
