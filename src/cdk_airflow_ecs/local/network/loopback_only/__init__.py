"""Python startup code of tasks that share the machine's loopback."""
