"""What Python runs at its start in tasks that share this machine's loopback."""
