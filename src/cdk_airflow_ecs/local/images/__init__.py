"""Python environments and programs that take the place of container images."""
