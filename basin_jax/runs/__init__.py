"""Train missing seeds, judge them, commit them; sweep files, provenance and replay."""
