"""Programs that run in AWS Lambda, without this package.

They require Python 3.14, the runtime of their functions, and import only the standard library and boto3.
"""
