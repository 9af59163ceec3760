"""Estimates of fractions, differences and areas, with confidence intervals."""
