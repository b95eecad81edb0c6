"""What is in a picture, in words: captions, tags, ranked lists of words."""
