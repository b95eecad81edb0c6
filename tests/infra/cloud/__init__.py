"""A cloud to test against: what the program registers is made through boto3 on moto's server."""
