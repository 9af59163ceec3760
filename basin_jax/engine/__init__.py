"""Train many seeds at once: lanes, kernels, backends and their tuning."""
