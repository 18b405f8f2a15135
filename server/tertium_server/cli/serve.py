"""serve"""

HELP = "serve"


def serve() -> None:
    """Serve."""
