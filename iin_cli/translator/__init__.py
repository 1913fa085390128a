"""The translator: pure mathematics on (B, N) tensors.

`flow` is T itself, `factors` its named output, `likelihood` the objective of the fit, `dims` the sizes of the factors,
`all_pairs` their exact scores, `feature_noise` the noise on z, and `edit` the edits of z̃.
"""
