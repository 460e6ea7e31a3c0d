"""Networks measured: `figures` are the values, `bench` makes them, `files` writes them."""
