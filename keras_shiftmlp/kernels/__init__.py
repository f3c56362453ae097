"""How each backend computes what the layers name; nothing that a paper says."""
