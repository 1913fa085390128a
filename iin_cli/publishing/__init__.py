"""What goes to the Hub: the checkpoints of a run without the paths of this machine, their pictures, their card."""
