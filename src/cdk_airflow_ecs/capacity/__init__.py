"""Task sizes, and the machines on which tasks run."""
