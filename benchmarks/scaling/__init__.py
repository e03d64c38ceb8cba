"""A simulation of worker pools under scaling policies; docs/concepts/benchmarks-scaling.md describes it."""
