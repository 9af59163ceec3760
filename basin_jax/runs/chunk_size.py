"""Choose the size of chunks from the time that they take."""

# Seconds of work of a chunk: what a killed run may lose, and the time between commits. No chunk is
# larger than the last one by more than a factor, since that may have been a lucky moment.
CHUNK_SECONDS, GROWTH = 8.0, 8
SMALLEST = 64  # seeds
ROWS = 2**22  # of a chunk, at most, unless a block is larger


class ChunkSize:
    """Choose the size of chunks, a power of two, from the time that the last one took.

    The first one is small, so that the first seeds are stored soon.

    Args:
        block: the seeds that are trained at once.
        stops: the rows of a seed.
        most: the most seeds of a chunk, unless a block is larger.
    """

    def __init__(self, *, block: int, stops: int, most: int):
        self.least = max(SMALLEST, 1 << (block - 1).bit_length())
        rows = 1 << max(ROWS // stops, 1).bit_length() - 1
        self.most = max(min(most, rows), self.least)
        self._size = self.least

    def __call__(self) -> int:
        """Return the size of the next chunk."""
        return self._size

    def record(self, seeds: int, seconds: float) -> None:
        """Take note of how long some seeds took."""
        wanted = min(seeds * CHUNK_SECONDS / max(seconds, 1e-6), GROWTH * self._size, self.most)
        self._size = max(self.least, 1 << max(int(wanted), 1).bit_length() - 1)
