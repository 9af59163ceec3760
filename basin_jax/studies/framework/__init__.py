"""What studies have in common: how they train, count, draw and write."""
