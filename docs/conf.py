"""How the site is built; `scripts/docs` does it, with warnings as errors."""

import sys
from pathlib import Path

import fdif_jax

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "fdif-jax"
author = "the fdif-jax authors"
release = version = fdif_jax.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "command_pages",
    "generated",
    "mathml",
]
exclude_patterns = ["extensions"]
nitpicky = True
# Types in signatures that have no entry: those of other libraries, whose pages would have to be
# fetched, and the package's inner ones. Errors are named without their module.
nitpick_ignore_regex = [("py:class", ".*"), ("py:exc", "InputError|EnvironmentFault")]

myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 4
default_role = "code"  # help texts and docstrings name things in single backticks
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"fdif-jax {release}"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_show_copyright = False
html_show_search_summary = False  # it fetches pages, which browsers refuse from a disk
