"""What other packages register: its lines are read, it is tried in another process, loaded, and named where it fails.

entry_points.py  the lines of packages, malformed ones among them
probing.py       another process that takes steps which may end it
vetting.py       which guests went well there, remembered
loading.py       loading a guest here, and blaming it
"""
