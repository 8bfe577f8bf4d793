"""Pure functions from output arrays and thresholds to predictions in network pixels."""
