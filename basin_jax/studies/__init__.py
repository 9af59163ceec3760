"""Questions put to organisms, each with its controls."""
