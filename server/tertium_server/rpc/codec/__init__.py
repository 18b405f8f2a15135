"""The compiled codec: a request's bytes to a response's bytes in one call, the engine's step in between.

It reads what senders normally write: frames alone, each array packed and in one piece, lengths in as few bytes as they need. Everything else is
declined before anything is run, and goes the long way (rpc/wire.py), with the same result. A frame of twenty detections takes a third of the time
that the long way takes: most of that goes into Python objects for arrays.
"""
