"""gRPC: the only server code that sees grpc and the generated protobuf classes.

Importing this package decides how gRPC polls: since grpcio 1.80 a listener thread of its event engine hands every event over to Python, which costs
a third more processor time a message than polling in place (docs/adr records the measurement). The switch is read when ``grpc`` is first
imported, so it has to be set here, before any module of this package imports it. Whoever has set GRPC_EXPERIMENTS keeps it.
"""

import os

os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
