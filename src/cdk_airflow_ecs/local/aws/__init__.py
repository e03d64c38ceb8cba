"""A local emulation of an AWS account.

Moto emulates the services, except for CloudFormation. `cloudformation.py`, `engine.py` and `resolver.py` implement it:
intrinsic functions, order, replacement, custom resources, rollback and deletion work as in AWS. Anything unsupported
is an error.
"""
