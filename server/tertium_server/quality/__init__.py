"""Live precision and recall that can be believed: estimates from reviewed tracks, from probabilities alone, and from labelled frames."""
