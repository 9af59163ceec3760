"""The benchmark: the speed of training, against peers and the machine's ceilings.

Peers by PyTorch and pybasin are in `benchmarks/`, whose README says how each number is made.
"""
