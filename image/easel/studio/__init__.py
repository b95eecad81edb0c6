"""The studio: one replica, one device — an engine that draws, an HTTP API and a page in front of it."""
