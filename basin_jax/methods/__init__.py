"""Training processes: one method a file."""
