"""The translator: pure mathematics on (B, N) tensors.

`flow` is T itself, `factors` its named output, `likelihood` what it is fitted by, `dims` how large each factor is, and
`edit` what can be done to a z̃.
"""
