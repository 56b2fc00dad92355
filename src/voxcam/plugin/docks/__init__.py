"""The docks beside the picture: thin views that show the review and ask by signal."""
