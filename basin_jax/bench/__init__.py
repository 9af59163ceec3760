"""The benchmark: the speed of training, against peers and the machine's ceilings.

    cases         the work: what every peer trains
    pendulum      a classical system with two basins, whose fractions others have counted
    timing        work that is ready to be timed, and how it is timed
    peers         that work by this package, by textbook JAX, and the ceilings
    engine        what settled seeds and grids save, and what a whole run costs
    scaling       speed against seeds, lanes, width and devices
    measure       everything, in rounds
    report        rows and tables
    figures       the roofline and the scaling, drawn
    record        all of it as JSON, and as a folder

Peers by PyTorch and pybasin are in `benchmarks/`, whose README says how each number is made.
"""
