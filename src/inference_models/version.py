"""The name and the version of this distribution, in one place."""

__version__ = "0.1.0"
DISTRIBUTION = "inference-models-lean"
NAMESAKE = "inference-models"
"""On the public package index: another product with the same import name. The two overwrite each other's files."""
SEPARATE = f"pip uninstall -y {NAMESAKE} {DISTRIBUTION}, then install the one you want again"
"""What helps where both are installed."""
