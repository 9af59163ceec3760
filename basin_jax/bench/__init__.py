"""The benchmark: how fast seeds are trained, against peers and the machine's ceilings.

    cases         the work: what every peer trains
    pendulum      a classical system with two basins, whose fractions others have counted
    timing        work that is ready to be timed, and how it is timed
    peers         that work by this package, by textbook JAX, and the ceilings
    torch_peers   by PyTorch
    pybasin_peer  by pybasin
    engine        what settled seeds and grids save, and what a whole run costs
    scaling       speed against seeds, lanes, width and devices
    measure       everything, in rounds
    report        rows and tables
    figures       the roofline and the scaling, drawn
    record        all of it as JSON, and as a folder

How each number is made is in `benchmarks/README.md`.
"""
