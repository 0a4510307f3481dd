"""Compares our engine with engines that others wrote."""
