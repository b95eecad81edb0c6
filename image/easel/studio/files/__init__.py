"""Files of an endpoint over HTTP: models and pictures listed, fetched, sent and removed."""
