"""What a person finds when lyts is not there, and how files leave the store under their own names."""
