"""A small server that publishes a folder of packages over the contract of the hosted API."""
