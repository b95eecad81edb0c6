"""Drawing, training, judging and packing the starter checkpoint."""
