"""Where a transformer attends, read and differentiated."""
