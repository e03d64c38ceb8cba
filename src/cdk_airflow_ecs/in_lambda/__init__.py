"""Programs that run in AWS Lambda, on Python 3.14, without this package."""
