"""Decision rules from evidence to verdicts: one rule a file."""
