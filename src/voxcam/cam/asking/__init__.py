"""Asking the network again: about a layer, its head, or as a whole; counted, and timed beforehand."""
