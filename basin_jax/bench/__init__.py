"""The benchmark: the speed of training, against peers and the machine's ceilings.

    cases         the work that every peer trains
    pendulum      a classical system with two basins, whose fractions others have counted
    timing        prepared work, and its timing
    peers         that work by this package, by textbook JAX, and the ceilings
    engine        savings by settled seeds and grids, and the cost of a whole run
    scaling       speed against seeds, lanes, width and devices
    measure       everything, in rounds
    report        rows and tables
    figures       the roofline and the scaling, drawn
    record        all of it as JSON, and as a folder

Peers by PyTorch and pybasin are in `benchmarks/`, whose README says how each number is made.
"""
