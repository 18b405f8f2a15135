"""The compiled loops of tuning: plain arrays in, plain arrays out."""
