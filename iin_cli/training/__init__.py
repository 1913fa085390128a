"""The optimisation loop, its exact resume and its data parallelism; they do not depend on what is trained."""
