"""The dock of the planes beside the picture."""
