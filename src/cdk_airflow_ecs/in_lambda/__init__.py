"""Programs that run in AWS Lambda, without this package, with Python 3.14, the standard library and boto3."""
