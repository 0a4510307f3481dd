"""Compiled kernels of ml4t_backtest: the arithmetic that moves money, on structured arrays.

Nothing is imported here, so that the codes and record layouts can be read without loading numba.
"""
