"""An opened network or translator, the data it reads, and the groups that concepts make of it."""
