"""What can be wrong with a policy."""


class PolicyError(ValueError):
    """A policy can't be used. The message names the file, the field and the remedy."""
