"""A local emulation of an AWS account.

Services are moto's. CloudFormation is implemented here (`cloudformation.py`, `engine.py`, `resolver.py`): order,
intrinsics, replacement, custom resources, rollback and deletion work as in AWS. Anything unsupported is an error.
"""
