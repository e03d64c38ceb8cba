"""CloudWatch metrics and alarms, and Application Auto Scaling, of the local AWS API."""
