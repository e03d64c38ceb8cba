"""Renders a CloudFormation template as compose.yaml."""
