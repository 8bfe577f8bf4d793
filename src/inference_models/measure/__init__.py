"""Which package, runtime and setting is fastest on this machine: found out by running each in its own process."""
