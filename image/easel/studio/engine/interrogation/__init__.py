"""What puts a picture into words: BLIP in a sentence, DeepDanbooru in tags."""
