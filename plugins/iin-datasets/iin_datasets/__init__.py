"""Data sets of other libraries for iin, read where they lie: `hf:NAME_OR_PATH` and `tar:SHARDS`.

hf.py            hf: data sets of the library `datasets`, of the Hub or of local files; hf_sources.py finds them
tar.py           tar: WebDataset's shards; shard_names.py expands their names, shard_index.py finds what is in one
columns.py       columns of values become labels
records.py       what both have in common: images as bytes, looked at once; seen.py looks, and remembers
"""
