"""Everything known of a translator on one page."""
