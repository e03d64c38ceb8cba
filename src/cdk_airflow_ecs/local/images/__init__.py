"""Python environments and programs that replace container images."""
