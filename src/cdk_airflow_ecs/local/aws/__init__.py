"""A local emulation of an AWS account.

Services are moto's. CloudFormation is our own (`cloudformation.py`, `engine.py`, `resolver.py`), so that templates are
followed strictly: order, intrinsics, replacement, custom resources, rollback and deletion as in AWS. Anything
unsupported is an error.
"""
