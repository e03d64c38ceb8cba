"""The migration gate."""
