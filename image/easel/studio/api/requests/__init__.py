"""A1111's requests that draw: what they say, what is left unsaid, and what the engine is given for them."""
