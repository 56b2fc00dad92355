"""The dock of the scores along the slices."""
