"""Where a trial begins: one start a file."""
