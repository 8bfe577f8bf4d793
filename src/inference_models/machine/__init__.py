"""Facts of this computer, and child processes that find them out."""
