"""Offline: recorded sequences, read from files and replayed through the engine."""
