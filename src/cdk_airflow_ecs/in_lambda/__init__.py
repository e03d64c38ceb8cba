"""Programs that run in AWS Lambda, without this package.

Minimum: Python 3.14. The programs import the standard library and boto3.
"""
