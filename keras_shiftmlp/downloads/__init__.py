"""Files from the network: fetched, checked and cached. It knows nothing of what is in a file."""
