"""Where models come from: one module for each service, and `addresses`, which reads what people write."""
