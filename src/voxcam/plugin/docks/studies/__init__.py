"""The dock of the studies: what places hold, and what is open."""
