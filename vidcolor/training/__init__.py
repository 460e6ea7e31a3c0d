"""Training: photographs in, weights out, from a recipe that can be stopped and resumed."""
