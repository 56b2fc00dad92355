"""The classifier: which, what it says of itself, how it is run, and what is asked before it runs code."""
