"""What stands in deploy/ and in the Dockerfile, checked as far as a machine without a cluster can."""
