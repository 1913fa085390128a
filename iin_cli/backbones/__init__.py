"""The networks trained here (Tables 3–5) and those that come from torchvision, reached through the registry only."""
