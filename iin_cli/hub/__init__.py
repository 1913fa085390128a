"""The Hugging Face Hub: addresses, what is fetched from there, and what is sent."""
