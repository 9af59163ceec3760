"""Kernels by fragments: a batch's rows and a weight's tiles stay in registers."""

from basin_jax.compiler.cuda.fragments.emitter import emit as emit
