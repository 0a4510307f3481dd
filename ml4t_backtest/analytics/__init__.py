"""Statistics of equity curves and trades."""
