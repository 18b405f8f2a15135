"""Bridges: cases put before people in a labelling tool of their own, and their answers taken back. The store stays the source of truth."""
