"""demo"""

HELP = "demo"


def demo() -> None:
    """Demo."""
