"""Names, digests and durable writes of files."""
