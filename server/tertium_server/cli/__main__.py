"""`python -m tertium_server.cli`: the same as `tertium`."""

import sys

from . import main

sys.exit(main())
