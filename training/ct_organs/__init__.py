"""The 2D organ classifier: who it learns from, how, and how it is judged."""
