"""The explorer: a page in the browser, and the small server behind it.

uploads.py   images that users drop on the page
explorer.py  a translator and its images in memory, and what the page asks of them
kept.py      what was asked for last, and no more
verdicts.py  what an audit said of the factors
watched.py   which files have changed since
worker.py    the one thread that computes; the newest request of a tab wins
guard.py     who may ask: token, host, origin, headers
app.py       addresses and JSON
serving.py   ports, and the server's life
"""
