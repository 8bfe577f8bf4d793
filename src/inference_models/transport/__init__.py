"""HTTP: the client with its time limits, retries and redirects, its errors, and files as streams."""
