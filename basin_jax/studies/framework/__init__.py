"""The framework of studies: training, counting, drawing and writing."""
