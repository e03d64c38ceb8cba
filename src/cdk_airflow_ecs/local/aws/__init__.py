"""A small AWS account on this machine.

The API of each service is moto's. CloudFormation is ours (`cloudformation.py`, `engine.py`, `resolver.py`): what a
template says is to be done to the letter. Order, intrinsics, replacement, custom resources, rollback and deletion are
done as CloudFormation does them, and whatever is not known is an error instead of a silent omission.
"""
