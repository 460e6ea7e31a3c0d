"""The networks, one file each, their registry, and their weights."""
