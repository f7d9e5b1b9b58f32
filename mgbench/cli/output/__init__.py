"""Tables, progress, descriptions and JSON, as commands print them."""
