"""Packages on this machine's disk: written whole, verified before use."""
