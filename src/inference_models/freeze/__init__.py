"""Fetch ahead, pin exactly, carry elsewhere: pull, lock, bundle."""
