"""Easel: what runs in the containers — the studio, the model store and the door."""
