"""LoRA and its like, and textual inversions: what a prompt asks for, and what their files add to layers."""
