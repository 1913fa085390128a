"""What a translator or a backbone is fitted to, and the fit itself."""
