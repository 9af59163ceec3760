"""Programs that train a seed in each lane of the CPU's vectors.

XLA multiplies one small matrix after the other, and for width 8 most of a vector register is
then empty. Here a method's step, as JAX traces it, becomes C++ in which every element of an
array is a vector with one seed in each lane: products of any size fill the registers, nothing
crosses lanes, and a seed's bits depend on no other. The compiled steps are one operation of
the XLA program around them.

    arrays    what a step computes, as a graph of arrays
    lower     a traced step to that graph, a rule for each of JAX's primitives
    emit      the graph to C++, in loops over what has to be stored
    build     C++ to an operation that XLA calls

What has no rule is refused with the reason, and XLA trains it.
"""
