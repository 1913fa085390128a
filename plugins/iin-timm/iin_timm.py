"""Any timm model as a backbone."""
