"""What all tests share: settings, nothing that hides what a test does."""

import hypothesis

# A test must not fail because the machine is busy, nor only now and then: no deadline, and the same examples in every
# run.
hypothesis.settings.register_profile("tertium", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("tertium")
