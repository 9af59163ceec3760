"""The size of chunks follows the time that they take."""

from basin_jax.runs.chunk_size import ChunkSize


def take(size, seconds_of_a_seed, *, chunks):
    """Take note of some chunks, each of the size that was asked for."""
    sizes = []
    for _ in range(chunks):
        sizes.append(size())
        size.record(size(), size() * seconds_of_a_seed)
    return sizes


def test_a_chunk_grows_until_it_takes_some_seconds_and_no_further():
    size = ChunkSize(block=20, stops=1, most=2**17)
    assert take(size, 1e-3, chunks=6) == [64, 512, 4096, 4096, 4096, 4096]


def test_a_busy_moment_makes_small_chunks_only_while_it_lasts():
    size = ChunkSize(block=20, stops=1, most=2**17)
    assert take(size, 1e-3, chunks=4)[-1] == 4096
    assert take(size, 1.0, chunks=3)[1:] == [64, 64]
    assert take(size, 1e-3, chunks=4)[-1] == 4096


def test_a_chunk_is_a_whole_block_and_no_larger_than_allowed():
    size = ChunkSize(block=100, stops=1, most=1024)
    assert take(size, 1e-6, chunks=4) == [128, 1024, 1024, 1024]
    assert take(ChunkSize(block=5000, stops=1, most=1024), 1e-6, chunks=2) == [8192, 8192]


def test_a_chunk_of_many_stops_has_fewer_seeds():
    assert ChunkSize(block=20, stops=2**12, most=2**17).most == 2**10
