"""The observe step: what outputs, scaling, alarms and a dashboard need of a finished cluster."""
