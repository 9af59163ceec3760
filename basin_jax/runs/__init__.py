"""Train what is missing, judge it, commit it; sweep files, provenance and replay."""
