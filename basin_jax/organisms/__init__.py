"""Model organisms: one a file, each with its defect, its watcher and its examination."""
