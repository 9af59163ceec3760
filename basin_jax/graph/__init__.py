"""What a method's step computes for one seed, as JAX traces it: from a graph to C++.

`simd` writes programs for the vectors of CPUs from it, and sees none of JAX's primitives.

    arrays    the graph of arrays
    rules     what each of JAX's primitives is in it; `draws`: the random ones
    lower     a traced step to that graph
    text      C++ for numbers and names
    storage   what has to be stored, and where
    loops     C++ loops over the elements of an array
    emit      a loop for each array that is stored

What has no rule is refused with the reason, and XLA trains it.
"""
