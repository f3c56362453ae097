"""One key table per source."""
