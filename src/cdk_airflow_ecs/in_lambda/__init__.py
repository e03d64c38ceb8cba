"""Programs that run in AWS Lambda, without this package.

Floor: Python 3.14. They import the standard library and boto3.
"""
