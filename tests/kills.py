"""How often tests kill what they test: a few times, so that all of them together stay quick; more by TERTIUM_TEST_KILLS."""

import os

KILLS = int(os.environ.get("TERTIUM_TEST_KILLS", "2"))
