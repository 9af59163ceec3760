"""What takes the steps of many lanes, and the bounds of what may be asked of it."""

PROGRAMS = ("simd", "fused", "xla")
LANES = 2**16  # the most seeds that are trained side by side
FASTEST = 1e18  # steps per second
