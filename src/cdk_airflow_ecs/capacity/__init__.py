"""Where tasks run, and how large they are."""
