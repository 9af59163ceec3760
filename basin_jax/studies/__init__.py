"""Studies: one question a file, each a few sweeps that are read together."""
