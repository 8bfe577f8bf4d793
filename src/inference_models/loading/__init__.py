"""One load: address, describe, negotiate, fetch, open."""
