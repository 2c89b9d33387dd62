"""What stands in deploy/ and in the Dockerfile, as far as it can be checked without a cluster."""
