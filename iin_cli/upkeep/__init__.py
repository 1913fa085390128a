"""What a user keeps in order: the cache, and what a machine has and lacks."""
