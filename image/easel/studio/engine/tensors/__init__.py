"""What files hold: tensors in the names, types and places that modules want them in."""
