"""Human review: cases, votes, the audit coin, evidence, and bridges to labelling tools."""
