"""What lies between latents and pixels: each kind of VAE, tiles, edges that meet, masks."""
