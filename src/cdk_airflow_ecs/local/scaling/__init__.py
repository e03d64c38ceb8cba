"""CloudWatch metrics and alarms, and Application Auto Scaling."""
