"""Files that hold a whole volume each: NIfTI and its kin."""
