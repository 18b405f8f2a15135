"""``python -m tertium_server.app``: the server by environment and file alone, as containers run it."""

import sys

from tertium_server.app.process import main

sys.exit(main())
