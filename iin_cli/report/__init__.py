"""One page of everything known of a translator."""
