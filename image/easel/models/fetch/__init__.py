"""The downloader: a file from a source to its place, whole or not at all."""
