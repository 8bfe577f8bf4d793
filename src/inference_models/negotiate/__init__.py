"""What this machine has, which package fits it, and why the others do not."""
