"""The Pulumi program: what is provisioned. One noun per file."""
