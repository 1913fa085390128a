"""How Sphinx builds the site: `uv run --group docs sphinx-build -W --keep-going docs docs/_build/html`."""

import os
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))
# Cells run `iin` itself, with a cache of their own and on one thread, so that what they print is the same again,
# and plain, though Jupyter asks for colours.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
os.environ.update(IIN_CACHE=str(HERE / "_build" / "cache"), OMP_NUM_THREADS="1", TTY_COMPATIBLE="0")
os.environ["PYTHONSTARTUP"] = str(HERE / "extensions" / "shell_cells.py")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

project = "iin"
author = "iin developers"
copyright = author
release = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "pages"]
exclude_patterns = ["_build"]
nitpicky = True
# Types of other packages, and of rooms inside: signatures name them, and no page of this site describes them.
nitpick_ignore_regex = [("py:.*", r"(?!iin_cli\.(errors|plugin_api)).*")]

myst_enable_extensions = ["deflist", "dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 4
smartquotes = False
html_math_renderer = "mathml"

nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "cells")
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
# No script from elsewhere.
nb_ipywidgets_js = {}

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True}
napoleon_use_ivar = True
napoleon_use_rtype = False
# Docstrings set code in single backticks.
default_role = "code"

html_theme = "furo"
html_title = f"iin {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.png"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
