"""Scripts that train the demo classifiers from scratch."""
