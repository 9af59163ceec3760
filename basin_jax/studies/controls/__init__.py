"""Known answers that several studies share."""
