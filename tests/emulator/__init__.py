"""A small AWS account on this machine, to which the real `cdk deploy` deploys.

The API of each service is moto's. CloudFormation is ours (`cloudformation.py`, `engine.py`), because a deployment
is what is under test: order, intrinsics, replacement, custom resources, rollback and deletion are done as
CloudFormation does them, and whatever is not known is an error instead of a silent omission.

`server.py` and `readback.py` run beside the tests; everything else runs in the emulator's own environment.
"""
