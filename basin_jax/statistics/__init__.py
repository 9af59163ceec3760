"""Fractions, differences and areas with intervals that hold."""
