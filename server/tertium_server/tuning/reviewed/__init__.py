"""Tuning on what people answered: reviewed tracks, each with the number of tracks it stands for."""
