"""Controls of studies: systems with known answers, one a file."""
