"""Parts of studies that have a file of their own, and no study's name."""
