"""Fitting a policy to labelled recordings, by replaying the server's own engine."""
