"""A sweep's folder, and the estimates that are read from it."""
