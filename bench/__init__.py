"""What is measured, against what. `python -m bench` prints tables; nothing here is a test."""
