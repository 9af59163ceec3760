"""Small gridworlds: moves, and expected sums along a Markov chain."""

import numpy as np
from jaxtyping import Array, Float, Int
from numpy import ndarray


MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left: (rows, columns)
WALL = "#"


def cells(maze: tuple[str, ...]) -> dict[tuple[int, int], str]:
    """List the marks of a maze's cells by row and column, in this order, without walls."""
    return {
        (row, column): mark
        for row, line in enumerate(maze)
        for column, mark in enumerate(line)
        if mark != WALL
    }


def targets(maze: tuple[str, ...]) -> Int[ndarray, "move cell"]:
    """Number the cells to which each move leads; a wall holds the agent back."""
    numbers = {place: number for number, place in enumerate(cells(maze))}
    leads = [
        [numbers.get((row + down, column + right), here) for (row, column), here in numbers.items()]
        for down, right in MOVES
    ]
    return np.array(leads)


def totals(
    chain: Float[Array, "*batch cell cell"], rewards: Float[Array, "*batch cell"], doublings: int
) -> Float[Array, "*batch cell"]:
    """Sum expected rewards over 2**doublings steps of a Markov chain, from each cell.

    Rewards are expected ones of a step from each cell. A row of the chain that sums to less
    than 1 ends it with the rest of the probability.
    """
    sums = rewards[..., None]
    for _ in range(doublings):
        sums, chain = sums + chain @ sums, chain @ chain
    return sums[..., 0]
